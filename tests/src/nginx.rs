//! A real nginx, the oracle for everything that Berth promises to decide as nginx does.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::eventually::{eventually, secs};
use crate::http;
use crate::ports::Port;
use crate::process::Program;

/// Runs until it is dropped.
pub struct Nginx {
    port: Port,
    _program: Program,
    directory: TempDir,
}

impl Nginx {
    /// Starts it before the upstream that these lines describe. It believes `X-Forwarded-For` of this machine.
    ///
    /// # Panics
    /// When nginx is missing or does not come up.
    pub async fn start(upstream: &str) -> Self {
        let lines = NginxLines {
            real_ip: "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;",
            ..NginxLines::default()
        };
        Self::with(upstream, lines).await
    }

    /// The same with lines of the test's own.
    ///
    /// # Panics
    /// When nginx is missing or does not come up.
    pub async fn with(upstream: &str, lines: NginxLines<'_>) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let port = Port::reserve();
        let file = directory.path().join("nginx.conf");
        let text = configuration(directory.path(), &port, upstream, lines);
        std::fs::write(&file, text).expect("nginx.conf");
        let known = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];
        let program = known.iter().find(|path| Path::new(path).exists());
        let program = program.expect("nginx is missing (Debian: apt-get install nginx-light)");
        let mut command = Command::new(program);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
        let mut program = Program::start("nginx", command);
        let url = format!("http://{}/started", port.address());
        eventually("nginx answers", secs(10), async || {
            assert!(program.is_running(), "nginx ended: {:?}", program.log());
            http::status(&url).await
        })
        .await;
        Self {
            port,
            _program: program,
            directory,
        }
    }

    /// The file it was started with.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("nginx.conf")
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.port.address())
    }
}

/// What its file says besides the common lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct NginxLines<'a> {
    /// Whom it believes.
    pub real_ip: &'a str,
    pub server: &'a str,
    pub location: &'a str,
}

/// One worker, so that its counters are the only ones; everything it writes lies in its folder.
fn configuration(folder: &Path, port: &Port, upstream: &str, lines: NginxLines<'_>) -> String {
    let folder = folder.display();
    let NginxLines {
        real_ip,
        server,
        location,
    } = lines;
    format!(
        "daemon off;
user root; # heeded only if root starts it: so that it can reach sockets in our folders
worker_processes 1;
error_log stderr notice;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {real_ip}
    upstream town {{ {upstream} }}
    server {{
        listen 127.0.0.1:{};
        {server}
        location /started {{ return 204; }}
        location / {{
            proxy_pass http://town;
            {location}
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
",
        port.number()
    )
}
