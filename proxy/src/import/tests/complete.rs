//! Nothing is dropped silently: every directive of a drawn configuration is found in what comes out, or is told with its
//! line, or stands in a block that is told. Looked at from outside, so that it holds whatever the importer is made of.

use proptest::prelude::*;

use super::super::Refused;
use super::of;

/// Where a directive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Http,
    Upstream,
    Server,
    Location,
}

/// One line of the configuration.
struct Line {
    text: String,
    /// By what the result shows it; empty: nothing that the result could show.
    sign: String,
    /// The lines of the blocks around it, the innermost last.
    around: Vec<usize>,
    is_default_server: bool,
}

struct Draw {
    dice: u64,
    lines: Vec<Line>,
    open: Vec<usize>,
}

impl Draw {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    /// A number that no other line has.
    fn unique(&self) -> usize {
        self.lines.len() + 1
    }

    fn line(&mut self, text: String, sign: String) {
        self.lines.push(Line {
            text,
            sign,
            around: self.open.clone(),
            is_default_server: false,
        });
    }

    fn open(&mut self, text: String, sign: String) {
        self.line(format!("{text} {{"), sign);
        self.open.push(self.lines.len());
    }

    fn close(&mut self) {
        self.open.pop();
        self.line("}".to_owned(), String::new());
    }

    fn anything(&mut self, place: Place, most: u64) {
        for _ in 0..self.roll(most) {
            if place == Place::Upstream {
                self.upstream_line();
            } else {
                self.line_of_scope(place);
            }
        }
    }

    fn upstream_line(&mut self) {
        let n = self.unique();
        let (text, sign) = match self.roll(14) {
            0..=2 => (
                format!("server s{n}:3{n:03} weight=2 x={n};"),
                format!("\"s{n}:3{n:03}\""),
            ),
            3 => (
                format!("server 10.0.0.{n} max_conns={n} down;"),
                format!("\"10.0.0.{n}:80\""),
            ),
            4 => (format!("keepalive {n};"), format!("keepalive = {n}")),
            5 => (
                format!("keepalive_requests {n};"),
                format!("keepalive_requests = {n}"),
            ),
            6 => (
                format!("keepalive_timeout {}s;", seconds(n)),
                format!("{}s", seconds(n)),
            ),
            7 => (format!("hash $arg_{n} consistent;"), format!("$arg_{n}")),
            8 => (
                format!("sticky cookie c{n} expires=1h path=/;"),
                format!("\"c{n}\""),
            ),
            9 => (
                format!("sticky learn create=$upstream_cookie_{n};"),
                format!("_{n}\""),
            ),
            10 => ("random;".to_owned(), "random".to_owned()),
            11 => (format!("queue {n};"), format!("queue = {n}")),
            12 => (format!("zone z{n} 64k;"), format!("z{n}")),
            _ => (format!("odd_{n} block {{ a b; }}"), format!("odd_{n}")),
        };
        self.line(text, sign);
    }

    fn line_of_scope(&mut self, place: Place) {
        let n = self.unique();
        let time = seconds(n);
        let (text, sign) = match self.roll(25) {
            0 => (format!("proxy_read_timeout {time}s;"), format!("{time}s")),
            1 => (format!("proxy_send_timeout {time}s;"), format!("{time}s")),
            2 => (format!("proxy_connect_timeout {time};"), format!("{time}s")),
            3 => (
                format!("client_header_timeout {time}s;"),
                format!("{time}s"),
            ),
            4 => (format!("keepalive_timeout {time}s;"), format!("{time}s")),
            5 => (
                format!("client_max_body_size {}k;", 1025 + 2 * n),
                format!("\"{}KiB\"", 1025 + 2 * n),
            ),
            6 => (
                format!("large_client_header_buffers 3 {}k;", 9 + 2 * n),
                format!("\"{}KiB\"", 3 * (9 + 2 * n)),
            ),
            7 => (
                format!("set_real_ip_from 10.1.{n}.0/24;"),
                format!("10.1.{n}.0/24"),
            ),
            8 => (format!("real_ip_header X-{n};"), format!("X-{n}\"")),
            9 => (
                "real_ip_recursive off;".to_owned(),
                String::from("recursive"),
            ),
            10 => (
                format!("proxy_next_upstream_tries {n};"),
                format!("tries = {n}\n"),
            ),
            11 => (
                format!("proxy_next_upstream_timeout {time}s;"),
                format!("tries_timeout = \"{time}s\""),
            ),
            12 => (
                format!("proxy_next_upstream error http_50{};", n % 5),
                "http_50".to_owned(),
            ),
            13 => (format!("add_header X-{n} y;"), format!("X-{n}")),
            14 => (format!("unheard_of_{n} x y;"), format!("unheard_of_{n}")),
            15 => (format!("proxy_set_header X-{n} y;"), format!("X-{n}")),
            16 => (
                format!("if ($arg_{n}) {{ return 403; }}"),
                format!("arg_{n}"),
            ),
            17 => (format!("ssl_certificate {n}.pem;"), format!("{n}.pem")),
            18 => (format!("include none{n}/*;"), format!("none{n}")),
            19 => (format!("set $v{n} {n};"), format!("v{n}")),
            20 => (format!("access_log /l/{n};"), format!("/l/{n}")),
            21 => (
                format!("proxy_buffering {n};"),
                format!("proxy_buffering {n}"),
            ),
            22 => (format!("worker_processes {n};"), format!("threads = {n}\n")),
            23 => (format!("error_page 500 /{n};"), format!("/{n}\"")),
            _ if place == Place::Location => (format!("map $a $b{n} {{ x y; }}"), format!("b{n}")),
            _ => (format!("proxy_pass http://stray{n};"), format!("stray{n}")),
        };
        self.line(text, sign);
    }

    fn location(&mut self, depth: usize) {
        let n = self.unique();
        let (word, sign) = match self.roll(8) {
            0 => (format!("~ ^/p{n}/"), format!("p{n}/")),
            1 => (format!("= /p{n}/"), format!("p{n}/")),
            2 => (format!("@p{n}"), format!("p{n}/")),
            3 => (format!("^~ /p{n}/"), format!("\"/p{n}/\"")),
            _ => (format!("/p{n}/"), format!("\"/p{n}/\"")),
        };
        self.open(format!("location {word}"), sign);
        self.anything(Place::Location, 5);
        let n = self.unique();
        let (url, sign) = match self.roll(8) {
            0 => (None, String::new()),
            1 => (
                Some(format!("http://h{n}:80{n:02}/x")),
                format!("\"h{n}:80{n:02}\""),
            ),
            2 => (Some(format!("https://h{n}")), format!("\"h{n}")),
            3 => (Some(format!("http://$h{n}")), format!("\"h{n}")),
            4 => (
                Some("http://up1$request_uri".to_owned()),
                "[upstream.up1]".to_owned(),
            ),
            _ => (Some("http://up0".to_owned()), "[upstream.up0]".to_owned()),
        };
        if let Some(url) = url {
            self.line(format!("proxy_pass {url};"), sign);
        }
        if depth > 0 && self.roll(4) == 0 {
            self.location(depth - 1);
        }
        self.close();
    }

    fn server(&mut self, is_default: bool) {
        let start = self.lines.len();
        self.open("server".to_owned(), String::new());
        let n = self.unique();
        let listen = match self.roll(4) {
            0 if !is_default => (format!("listen 4{n:03} ssl;"), format!(":4{n:03}\"")),
            1 => (
                format!("listen 127.0.0.1:4{n:03} backlog=3;"),
                format!(":4{n:03}\""),
            ),
            _ => (format!("listen 4{n:03};"), format!(":4{n:03}\"")),
        };
        self.line(listen.0, listen.1);
        let n = self.unique();
        let name = match self.roll(4) {
            0 => (format!("server_name *.h{n}.org;"), format!("\"h{n}.org\"")),
            1 => (format!("server_name $h{n};"), format!("\"h{n}\"")),
            _ => (format!("server_name h{n}.org;"), format!("\"h{n}.org\"")),
        };
        self.line(name.0, name.1);
        self.anything(Place::Server, 6);
        for _ in 0..self.roll(4) {
            self.location(1);
        }
        self.close();
        // An address of its own makes every one of them the default there.
        for line in self.lines.iter_mut().skip(start) {
            line.is_default_server = true;
        }
    }

    fn whole(dice: u64) -> Self {
        let mut draw = Self {
            dice,
            lines: Vec::new(),
            open: Vec::new(),
        };
        draw.open("http".to_owned(), String::new());
        draw.anything(Place::Http, 8);
        for name in ["up0", "up1"] {
            draw.open(format!("upstream {name}"), format!("[upstream.{name}]"));
            let n = draw.unique();
            draw.line(format!("server first{n}:1;"), format!("\"first{n}:1\""));
            draw.anything(Place::Upstream, 7);
            draw.close();
        }
        for index in 0..1 + draw.roll(3) {
            draw.server(index == 0);
        }
        draw.close();
        draw
    }

    fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n")
    }
}

/// Never a whole number of minutes, so that it is written in seconds.
fn seconds(n: usize) -> usize {
    67 + 60 * n
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_directive_is_translated_or_told(dice in any::<u64>()) {
        let draw = Draw::whole(dice);
        let text = draw.text();
        let import = match of(&text) {
            Ok(import) => import,
            Err(Refused::Nothing { .. }) => return Ok(()),
            Err(refused) => panic!("{refused}\n{text}"),
        };
        let result: String = import.toml.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let is_told = |line: usize| import.notes.iter().any(|note| note.origin.place.line == line);
        for (index, line) in draw.lines.iter().enumerate() {
            let is_name = line.text.starts_with("server_name") && line.is_default_server;
            let is_shown = line.sign.is_empty() || is_name || result.contains(&line.sign);
            let is_gone_with_its_block = line.around.iter().any(|at| {
                let block = &draw.lines[at - 1];
                let is_shown = block.sign.is_empty() || result.contains(&block.sign);
                let is_idle = block.text == "server {" && line.text.starts_with("listen") && is_told(*at);
                // A location is told, or where it would pass its requests to.
                let mut inside = draw.lines.iter().enumerate().filter(|(_, inner)| inner.around.last() == Some(at));
                let is_unpassed = inside.any(|(inner, pass)| pass.text.starts_with("proxy_pass") && is_told(inner + 1));
                is_idle || (!is_shown && (is_told(*at) || is_unpassed))
            });
            let is_unpassed = line.text.starts_with("location") && {
                let mut inside = draw.lines.iter().enumerate().filter(|(_, inner)| inner.around.contains(&(index + 1)));
                inside.any(|(inner, _)| is_told(inner + 1))
            };
            prop_assert!(
                is_shown || is_told(index + 1) || is_gone_with_its_block || is_unpassed,
                "line {} is lost: {}\n{text}\n{}", index + 1, line.text, import.toml
            );
        }
    }
}
