//! The files of `bench/proxies`, with ports, paths and the differences between flavours filled in.

use std::net::SocketAddr;

use super::{CONNECTIONS_MAX, Contender, Flavour, KEEPALIVE, KEEPALIVE_REQUESTS, THREADS, Wiring};

/// What is written for a word between two `@`.
type Word = (&'static str, String);

pub(super) fn configuration(contender: Contender, wiring: &Wiring<'_>) -> String {
    let (template, words) = match contender {
        Contender::Berth => (include_str!("../../../proxies/berth.toml"), berth(wiring)),
        Contender::Nginx => (include_str!("../../../proxies/nginx.conf"), nginx(wiring)),
        Contender::Haproxy => (
            include_str!("../../../proxies/haproxy.cfg"),
            haproxy(wiring),
        ),
        Contender::Envoy => (include_str!("../../../proxies/envoy.yaml"), envoy(wiring)),
        Contender::Floor => ("", Vec::new()),
    };
    let numbers = [
        ("threads", THREADS),
        ("connections_max", CONNECTIONS_MAX),
        ("keepalive", KEEPALIVE),
        ("keepalive_requests", KEEPALIVE_REQUESTS),
    ];
    let numbers = numbers.map(|(word, number)| (word, number.to_string()));
    let mut text = template.to_owned();
    for (word, value) in words.into_iter().chain(numbers) {
        text = text.replace(&format!("@{word}@"), &value);
    }
    text
}

fn each(wiring: &Wiring<'_>, one: impl Fn(usize, SocketAddr) -> String, between: &str) -> String {
    let servers = wiring.servers.iter().enumerate();
    let servers: Vec<String> = servers.map(|(index, server)| one(index, *server)).collect();
    servers.join(between)
}

fn berth(wiring: &Wiring<'_>) -> Vec<Word> {
    let Wiring { listen, admin, .. } = wiring;
    let plain = format!("\"{listen}\"");
    let (listen, tls, admin, sticky) = match wiring.flavour {
        Flavour::Plain => (plain, String::new(), String::new(), ""),
        Flavour::Full => {
            let admin = format!("[admin]\nlisten = \"{admin}\"");
            (plain, String::new(), admin, "sticky = [\"cookie\"]")
        }
        Flavour::Tls | Flavour::H2 => {
            let (chain, key) = (&wiring.certificate.chain, &wiring.certificate.key);
            let (chain, key) = (chain.display(), key.display());
            let tls = format!("[[server.tls]]\ncertificate = \"{chain}\"\nkey = \"{key}\"");
            let listen = format!("{{ address = {plain}, tls = true }}");
            (listen, tls, String::new(), "")
        }
    };
    vec![
        ("listen", listen),
        ("tls", tls),
        ("admin", admin),
        ("sticky", sticky.to_owned()),
        (
            "servers",
            each(wiring, |_, server| format!("\"{server}\""), ", "),
        ),
    ]
}

fn nginx(wiring: &Wiring<'_>) -> Vec<Word> {
    let folder = wiring.folder.display();
    let is_full = wiring.flavour == Flavour::Full;
    let log = if is_full {
        format!("{folder}/access.log")
    } else {
        "off".to_owned()
    };
    let (ssl, certificate) = match wiring.flavour {
        Flavour::Plain | Flavour::Full => ("", String::new()),
        Flavour::Tls | Flavour::H2 => {
            let (chain, key) = (&wiring.certificate.chain, &wiring.certificate.key);
            let (chain, key) = (chain.display(), key.display());
            let protocols = "ssl_protocols TLSv1.2 TLSv1.3;";
            let ssl = if wiring.flavour == Flavour::H2 {
                " ssl http2"
            } else {
                " ssl"
            };
            (
                ssl,
                format!("ssl_certificate {chain}; ssl_certificate_key {key}; {protocols}"),
            )
        }
    };
    vec![
        ("folder", folder.to_string()),
        ("log", log),
        ("listen", wiring.listen.to_string()),
        ("ssl", ssl.to_owned()),
        ("certificate", certificate),
        (
            "servers",
            each(wiring, |_, server| format!("server {server};"), " "),
        ),
    ]
}

fn haproxy(wiring: &Wiring<'_>) -> Vec<Word> {
    let is_full = wiring.flavour == Flavour::Full;
    let when_full = |line: &str| {
        if is_full {
            line.to_owned()
        } else {
            String::new()
        }
    };
    let tls = match wiring.flavour {
        Flavour::Plain | Flavour::Full => String::new(),
        Flavour::Tls => format!(" ssl crt {}", wiring.certificate.both.display()),
        Flavour::H2 => format!(" ssl crt {} alpn h2", wiring.certificate.both.display()),
    };
    let server = |index, server| {
        let cookie = if is_full {
            format!(" cookie s{index}")
        } else {
            String::new()
        };
        format!("    server s{index} {server}{cookie}")
    };
    let scheme = if tls.is_empty() { "http" } else { "https" };
    vec![
        ("global_log", when_full("log stdout format raw local0")),
        ("log", when_full("log global\n    option httplog")),
        ("cookie", when_full("cookie srv_id insert indirect nocache")),
        ("listen", wiring.listen.to_string()),
        ("scheme", scheme.to_owned()),
        ("tls", tls),
        ("servers", each(wiring, server, "\n")),
    ]
}

fn envoy(wiring: &Wiring<'_>) -> Vec<Word> {
    const TYPES: &str = "\"@type\": type.googleapis.com/envoy.extensions";
    let at = |address: SocketAddr| {
        let (ip, port) = (address.ip(), address.port());
        format!("{{ socket_address: {{ address: {ip}, port_value: {port} }} }}")
    };
    let (log, policy) = match wiring.flavour {
        Flavour::Full => (
            format!(
                "{{ name: log, typed_config: {{ {TYPES}.access_loggers.stream.v3.StdoutAccessLog }} }}"
            ),
            "cookie: { name: srv_id, ttl: 0s, path: / }",
        ),
        Flavour::Plain | Flavour::Tls | Flavour::H2 => {
            (String::new(), "connection_properties: { source_ip: true }")
        }
    };
    let tls = match wiring.flavour {
        Flavour::Plain | Flavour::Full => String::new(),
        Flavour::Tls | Flavour::H2 => {
            let (chain, key) = (&wiring.certificate.chain, &wiring.certificate.key);
            let (chain, key) = (chain.display(), key.display());
            let chain = format!("certificate_chain: {{ filename: {chain} }}");
            let pair = format!("{chain}, private_key: {{ filename: {key} }}");
            let protocols = if wiring.flavour == Flavour::H2 {
                ", alpn_protocols: [h2]"
            } else {
                ""
            };
            let common =
                format!("common_tls_context: {{ tls_certificates: [{{ {pair} }}]{protocols} }}");
            let context = format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext");
            let socket = "name: envoy.transport_sockets.tls";
            format!("transport_socket: {{ {socket}, typed_config: {{ {context}, {common} }} }}")
        }
    };
    let server = |_, server| format!("{{ endpoint: {{ address: {} }} }}", at(server));
    vec![
        ("listen", at(wiring.listen)),
        ("log", log),
        ("policy", policy.to_owned()),
        ("tls", tls),
        ("servers", each(wiring, server, ", ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::proxies::Certificate;

    #[test]
    fn no_word_is_left_open_in_any_flavour() {
        let certificate = Certificate {
            chain: "chain.pem".into(),
            key: "key.pem".into(),
            both: "both.pem".into(),
        };
        let servers = ["127.0.0.1:3001", "127.0.0.1:3002"].map(|server| server.parse().unwrap());
        let with_files = Contender::ALL
            .into_iter()
            .filter(|contender| *contender != Contender::Floor);
        for contender in with_files {
            for flavour in [Flavour::Plain, Flavour::Full, Flavour::Tls, Flavour::H2] {
                let text = configuration(
                    contender,
                    &Wiring {
                        flavour,
                        listen: "127.0.0.1:8080".parse().unwrap(),
                        admin: "127.0.0.1:9090".parse().unwrap(),
                        servers: &servers,
                        folder: std::path::Path::new("folder"),
                        certificate: &certificate,
                    },
                );
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                let open: Vec<&str> = lines
                    .filter(|line| line.replace("\"@type\"", "").contains('@'))
                    .collect();
                assert!(open.is_empty(), "{}: {open:?}", contender.name());
                assert!(text.contains("8080") && text.contains("3002"));
                let has_certificate = text.contains(".pem");
                assert_eq!(has_certificate, flavour.is_tls(), "{}", contender.name());
            }
        }
    }
}
