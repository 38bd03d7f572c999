//! What to say about the directives that have no counterpart, by their names.
//!
//! Those that are translated are in `TRANSLATED`; a word that is nowhere here is said to be unknown.

use super::note::Weight;

/// Read by `site` and `upstream`, which tell themselves what they could not keep.
pub(super) const TRANSLATED: [&str; 33] = [
    "http",
    "server",
    "upstream",
    "location",
    "listen",
    "server_name",
    "ssl_certificate",
    "ssl_certificate_key",
    "proxy_pass",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
    "proxy_next_upstream_timeout",
    "client_max_body_size",
    "client_header_timeout",
    "client_body_timeout",
    "send_timeout",
    "keepalive_timeout",
    "keepalive_requests",
    "large_client_header_buffers",
    "http2",
    "http2_max_concurrent_streams",
    "set_real_ip_from",
    "real_ip_header",
    "real_ip_recursive",
    "worker_processes",
    // What Berth does by itself.
    "proxy_http_version",
    "proxy_buffering",
    "proxy_request_buffering",
    "tcp_nodelay",
    "proxy_redirect",
];

type Row = (&'static [&'static str], &'static str);

/// No client and no server can tell the difference. A name that ends with `*` is a beginning.
const HARMLESS: [Row; 10] = [
    (
        &[
            "ssl_buffer_size",
            "ssl_ciphers",
            "ssl_conf_command",
            "ssl_dhparam",
            "ssl_early_data",
            "ssl_ecdh_curve",
            "ssl_prefer_server_ciphers",
            "ssl_session_*",
            "ssl_stapling*",
        ],
        "rustls has its own choice: forward secrecy and authenticated ciphers only, session tickets, no early data",
    ),
    (
        &[
            "access_log",
            "error_log",
            "log_format",
            "log_not_found",
            "open_log_file_cache",
        ],
        "Berth logs to standard output; see LOG_LEVEL and LOG_FORMAT",
    ),
    (
        &["pid"],
        "not taken over, so that both can run side by side; set server.pid_file if `reload` is to be used",
    ),
    (
        &[
            "user",
            "daemon",
            "master_process",
            "worker_rlimit_nofile",
            "worker_cpu_affinity",
            "worker_shutdown_timeout",
            "pcre_jit",
            "use",
            "multi_accept",
            "accept_mutex*",
        ],
        "whoever starts the proxy decides this (systemd, Docker, Kubernetes)",
    ),
    (
        &["worker_connections"],
        "server.connections_max is one limit for the whole proxy; set it if 65536 is not right",
    ),
    (
        &[
            "sendfile*",
            "tcp_nopush",
            "aio*",
            "directio*",
            "open_file_cache*",
            "default_type",
            "types*",
            "charset*",
            "index",
            "autoindex",
            "etag",
        ],
        "about files, and Berth serves none",
    ),
    (
        &[
            "proxy_buffer*",
            "proxy_busy_buffers_size",
            "proxy_temp*",
            "proxy_max_temp_file_size",
            "client_body_buffer_size",
            "client_body_temp_path",
            "client_header_buffer_size",
            "output_buffers",
            "postpone_output",
            "*_hash_max_size",
            "*_hash_bucket_size",
            "connection_pool_size",
            "request_pool_size",
        ],
        "Berth passes on what it gets as it gets it and sizes its buffers itself",
    ),
    (
        &["resolver*"],
        "names are looked up as the system does; `resolve` in the upstream says how often",
    ),
    (
        &[
            "lingering_*",
            "reset_timedout_connection",
            "keepalive_time",
            "keepalive_disable",
            "server_tokens",
            "ignore_invalid_headers",
            "underscores_in_headers",
            "merge_slashes",
            "port_in_redirect",
            "absolute_redirect",
            "server_name_in_redirect",
            "recursive_error_pages",
            "proxy_ignore_client_abort",
            "proxy_socket_keepalive",
            "proxy_intercept_errors",
            "proxy_pass_request_headers",
            "proxy_pass_request_body",
            "http2*",
            "http3*",
            "quic*",
        ],
        "Berth has no such switch and needs none to pass Socket.IO on",
    ),
    (
        &["load_module"],
        "nginx's modules mean nothing to Berth; what they would do is told where it is used",
    ),
];

/// Something behaves differently without it.
const CHANGES: [Row; 13] = [
    (
        &[
            "ssl_client_certificate",
            "ssl_crl",
            "ssl_ocsp*",
            "ssl_trusted_certificate",
            "ssl_verify*",
        ],
        "clients are not asked for certificates in this version; ask for them in front of Berth",
    ),
    (
        &["ssl_password_file"],
        "nobody types a passphrase here; write the key without one: `openssl pkey -in FILE`",
    ),
    (
        &["ssl_reject_handshake"],
        "a client that asks for nobody's name gets the first certificate",
    ),
    (
        &["ssl"],
        "nginx itself has given it up; write ssl behind the address of each listen and import again",
    ),
    (
        &["proxy_ssl*"],
        "TLS to servers is not supported in this version; speak plain HTTP to them over a private network",
    ),
    (
        &[
            "allow",
            "deny",
            "satisfy",
            "auth_*",
            "secure_link*",
            "valid_referers",
            "limit_except",
            "internal",
        ],
        "Berth refuses nobody by address or password; keep that in front of it or do it in the application",
    ),
    (
        &[
            "limit_req*",
            "limit_conn*",
            "limit_rate*",
            "proxy_limit_rate",
        ],
        "Berth limits handshakes (handshakes in the upstream) and connections (server.connections_max, connections_per_client_max), but no other rate",
    ),
    (
        &[
            "rewrite*",
            "return",
            "if",
            "set",
            "try_files",
            "error_page",
            "break",
            "map",
            "geo*",
            "split_clients",
            "js_*",
            "perl*",
            "lua_*",
            "*_by_lua",
            "*_by_lua_block",
            "*_by_lua_file",
        ],
        "Berth rewrites, redirects and decides by variables nothing; do it in front or in the application",
    ),
    (
        &[
            "root",
            "alias",
            "empty_gif",
            "gzip_static",
            "expires",
            "stub_status",
        ],
        "Berth serves no files and no pages; let a server do it and pass the path to it",
    ),
    (
        &[
            "add_header",
            "add_trailer",
            "more_*",
            "proxy_hide_header",
            "proxy_pass_header",
            "proxy_ignore_headers",
            "proxy_cookie_*",
            "proxy_set_body",
            "proxy_method",
            "sub_filter*",
        ],
        "Berth changes no response and no body; let the application send it",
    ),
    (
        &[
            "gzip*",
            "gunzip",
            "brotli*",
            "proxy_cache*",
            "proxy_store*",
            "proxy_no_cache",
            "slice",
        ],
        "Berth neither compresses nor caches; let the servers do it, or something in front",
    ),
    (
        &[
            "fastcgi_*",
            "uwsgi_*",
            "scgi_*",
            "grpc_*",
            "memcached_*",
            "stream",
            "mail",
            "mirror*",
            "dav_*",
            "proxy_bind",
        ],
        "Berth speaks HTTP/1.1 and WebSocket only, to servers in [upstream.NAME]; keep nginx for this",
    ),
    (
        &["include"],
        "has not exactly one path; name one file or pattern",
    ),
];

/// Whether each of its values was judged when it was met, so that silence means: as Berth does anyway.
pub(super) fn is_judged(name: &str) -> bool {
    const JUDGED: [&str; 7] = [
        "proxy_set_header",
        "proxy_http_version",
        "proxy_buffering",
        "proxy_request_buffering",
        "tcp_nodelay",
        "proxy_redirect",
        "proxy_next_upstream",
    ];
    JUDGED.contains(&name) || !TRANSLATED.contains(&name)
}

/// How much it matters that the directive is gone, and what to do.
pub(super) fn verdict(name: &str) -> (Weight, &'static str) {
    let find = |rows: &[Row]| {
        rows.iter()
            .find(|(names, _)| names.iter().any(|known| is_named(known, name)))
            .map(|(_, message)| *message)
    };
    // What changes something is asked first: `proxy_set_body` is more than a buffer.
    find(&CHANGES)
        .map(|message| (Weight::Changes, message))
        .or_else(|| find(&HARMLESS).map(|message| (Weight::Harmless, message)))
        .unwrap_or((
            Weight::Changes,
            "is unknown here; find out whether your clients need it",
        ))
}

fn is_named(known: &str, name: &str) -> bool {
    match (known.strip_suffix('*'), known.strip_prefix('*')) {
        (Some(beginning), _) => name.starts_with(beginning),
        (_, Some(end)) => name.ends_with(end),
        (None, None) => name == known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_has_a_verdict() {
        assert_eq!(verdict("ssl_verify_client").0, Weight::Changes);
        assert_eq!(verdict("ssl_session_cache").0, Weight::Harmless);
        assert_eq!(verdict("server_names_hash_max_size").0, Weight::Harmless);
        assert_eq!(verdict("index").0, Weight::Harmless);
        assert_eq!(verdict("no_such_word").0, Weight::Changes);
    }
}
