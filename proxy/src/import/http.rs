//! The `http` block as a whole: from its sites to listeners, upstreams and routes.

use super::draft::{Draft, Entry, Route, Server, Upstream, Value, quoted};
use super::limits;
use super::note::{Notes, Origin};
use super::pass::{Target, target};
use super::scope::Scope;
use super::site::{self, Proxied, Site};
use super::tls;
use super::tree::Directive;
use super::upstream::{self, with_port};

/// Where we listen when nginx listened only for what we do not speak: whatever does stands before this address.
const IN_FRONT: &str = "127.0.0.1:8080";
/// What `config` lets a name be.
const NAME_BYTES_MAX: usize = 64;

pub(super) fn translate(http: &Directive, draft: &mut Draft, notes: &mut Notes) {
    let sites = site::all(http, notes);
    listen(&sites, draft, notes);
    tls::certificates(&sites, draft, notes);
    let mut uses: Vec<(String, Scope<'_>)> = Vec::new();
    for site in &sites {
        for proxied in &site.proxied {
            let url = proxied.pass.only().unwrap_or_default();
            let (url, variables) = proxied.scope.with_values(url);
            match target(&url) {
                Ok(target) => {
                    let name = upstream_for(&target, proxied, http, draft, notes);
                    if !variables.is_empty() {
                        look_up_again(&name, proxied.pass, draft);
                    }
                    variables.iter().for_each(|set| notes.same(*set));
                    notes.same(proxied.pass);
                    tell_path(&target, proxied, notes);
                    add_routes(site, proxied, &name, draft, notes);
                    uses.push((name, proxied.scope.clone()));
                }
                Err(why) => notes.changes(proxied.pass, why),
            }
        }
        tell_uncovered(site, &sites, notes);
    }
    let scopes: Vec<Scope<'_>> = uses.iter().map(|(_, scope)| scope.clone()).collect();
    limits::of_server(&scopes, draft, notes);
    for upstream in &mut draft.upstreams {
        let own = uses.iter().filter(|(name, _)| *name == upstream.name);
        let own: Vec<Scope<'_>> = own.map(|(_, scope)| scope.clone()).collect();
        limits::of_upstream(upstream, &own, notes);
    }
    for unused in http.inner().iter().filter(|inner| inner.name == "upstream") {
        let origin = Origin::from(unused);
        if draft
            .upstreams
            .iter()
            .all(|upstream| upstream.origin != origin)
        {
            notes.harmless(
                unused,
                "no location passes anything to it, so it is left out",
            );
        }
    }
}

fn listen(sites: &[Site<'_>], draft: &mut Draft, notes: &mut Notes) {
    let mut items: Vec<(String, Origin)> = Vec::new();
    let serving = sites.iter().filter(|site| !site.proxied.is_empty());
    for listen in serving.clone().flat_map(|site| &site.listens) {
        let mut item = quoted(&listen.address);
        if listen.is_tls {
            item = format!("{{ address = {item}, tls = true }}");
        }
        if !listen.is_refused && items.iter().all(|(known, _)| *known != item) {
            items.push((item, listen.directive.into()));
        } else {
            notes.same(listen.directive);
        }
    }
    for idle in sites.iter().filter(|site| site.proxied.is_empty()) {
        notes.harmless(
            idle.directive,
            "passes nothing on, so Berth does not listen for it",
        );
        idle.listens
            .iter()
            .for_each(|listen| notes.same(listen.directive));
    }
    if items.is_empty()
        && let Some(listen) = serving.flat_map(|site| &site.listens).next()
    {
        notes.changes(
            listen.directive,
            format!("every address is for HTTP/3 or the PROXY protocol; {IN_FRONT} is written for what stands in front"),
        );
        items.push((quoted(IN_FRONT), listen.directive.into()));
    }
    if let Some((_, origin)) = items.first() {
        let origin = origin.clone();
        draft.server.push(Entry {
            key: "listen",
            value: Value::List(items),
            origin,
        });
    }
}

/// The name of the upstream that a `proxy_pass` means; it is made when it is met first.
fn upstream_for(
    target: &Target<'_>,
    proxied: &Proxied<'_>,
    http: &Directive,
    draft: &mut Draft,
    notes: &mut Notes,
) -> String {
    let mut blocks = http.inner().iter().filter(|inner| inner.name == "upstream");
    let block = blocks.find(|block| {
        block
            .only()
            .is_some_and(|name| name.eq_ignore_ascii_case(target.address))
    });
    if proxied
        .scope
        .nearest("proxy_set_header")
        .is_none_or(|_| !sets_host(&proxied.scope))
    {
        notes.harmless(
            proxied.pass,
            "nginx names the upstream in Host here, Berth passes on the client's",
        );
    }
    let address = with_port(target.address);
    let known = draft.upstreams.iter().find(|upstream| match block {
        Some(block) => upstream.origin == Origin::from(block),
        None => {
            matches!(upstream.servers.as_slice(), [only] if only.address == address)
                && upstream.choosing.is_empty()
                && !is_block(upstream, http)
        }
    });
    if let Some(known) = known {
        return known.name.clone();
    }
    let name = free_name(target.address, draft);
    let upstream = match block {
        Some(block) => upstream::translate(name.clone(), block, notes),
        None => {
            let origin = Origin::from(proxied.pass);
            let mut upstream = Upstream::new(name.clone(), origin.clone());
            upstream.servers.push(Server {
                address,
                entries: Vec::new(),
                origin,
            });
            upstream
        }
    };
    draft.upstreams.push(upstream);
    name
}

/// A name in a variable is one that nginx looks up while it runs.
fn look_up_again(name: &str, pass: &Directive, draft: &mut Draft) {
    let mut upstreams = draft.upstreams.iter_mut();
    let Some(upstream) = upstreams.find(|upstream| upstream.name == name) else {
        return;
    };
    let is_made_here = upstream.origin == Origin::from(pass);
    if is_made_here && upstream.speaking.iter().all(|entry| entry.key != "resolve") {
        let entry = Entry::new("resolve", quoted(upstream::RESOLVE), pass);
        upstream.speaking.push(entry);
    }
}

fn is_block(upstream: &Upstream, http: &Directive) -> bool {
    let mut blocks = http.inner().iter().filter(|inner| inner.name == "upstream");
    blocks.any(|block| Origin::from(block) == upstream.origin)
}

fn sets_host(scope: &Scope<'_>) -> bool {
    let headers = scope.all("proxy_set_header");
    headers.iter().any(|header| {
        header
            .words
            .first()
            .is_some_and(|name| name.eq_ignore_ascii_case("host"))
    })
}

/// The nearest name that `config` takes and nobody has.
fn free_name(wanted: &str, draft: &Draft) -> String {
    let is_good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let spelled: String = wanted
        .chars()
        .map(|c| if is_good(&c) { c } else { '_' })
        .take(NAME_BYTES_MAX - 5)
        .collect();
    let trimmed = spelled.trim_matches('_');
    let base = if trimmed.is_empty() {
        "upstream"
    } else {
        trimmed
    };
    let is_free = |name: &String| {
        draft
            .upstreams
            .iter()
            .all(|upstream| upstream.name != *name)
    };
    std::iter::once(base.to_owned())
        .chain((2_u32..).map(|number| format!("{base}_{number}")))
        .find(is_free)
        .unwrap_or_default()
}

fn tell_path(target: &Target<'_>, proxied: &Proxied<'_>, notes: &mut Notes) {
    if target.uri.is_some_and(|uri| uri != proxied.path) {
        notes.changes(
            proxied.pass,
            format!("nginx puts {} in the place of {}, Berth passes the path on as it came; have the application take that", shown(target.uri.unwrap_or_default()), shown(proxied.path)),
        );
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn add_routes(
    site: &Site<'_>,
    proxied: &Proxied<'_>,
    upstream: &str,
    draft: &mut Draft,
    notes: &mut Notes,
) {
    let hosts: Vec<Option<String>> = if site.is_default {
        vec![None]
    } else {
        site.hosts.iter().cloned().map(Some).collect()
    };
    for host in hosts {
        let mut routes = draft.routes.iter();
        let same = routes.find(|route| route.host == host && route.path == proxied.path);
        match same {
            Some(same) if same.upstream != upstream => notes.changes(
                proxied.location,
                format!("the same host and path go to {} already ({}); Berth does not tell requests apart by the port they came to", same.upstream, same.origin.place),
            ),
            Some(_) => notes.same(proxied.location),
            None => draft.routes.push(Route {
                host,
                path: proxied.path.to_owned(),
                upstream: upstream.to_owned(),
                origin: proxied.location.into(),
            }),
        }
    }
}

/// A path that nginx would not find at a host is one that Berth looks for among the routes of any host.
fn tell_uncovered(site: &Site<'_>, sites: &[Site<'_>], notes: &mut Notes) {
    let is_whole = site.proxied.iter().any(|proxied| proxied.path == "/");
    let falls_through = sites
        .iter()
        .any(|other| other.is_default && !other.proxied.is_empty());
    if !site.is_default && !site.proxied.is_empty() && !is_whole && falls_through {
        notes.changes(
            site.directive,
            "a path that none of its locations passes on goes to the routes without a host; write a [[route]] for its / if that is wrong",
        );
    }
}
