//! A real nginx, the oracle for everything that Berth promises to decide as nginx does.

use std::path::Path;
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
    _directory: TempDir,
}

impl Nginx {
    /// Starts it before the upstream that these lines describe. It believes `X-Forwarded-For` of this machine.
    ///
    /// # Panics
    /// When nginx is missing or does not come up.
    pub async fn start(upstream: &str) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let port = Port::reserve();
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration(directory.path(), &port, upstream))
            .expect("nginx.conf");
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
            _directory: directory,
        }
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.port.address())
    }
}

/// One worker, so that its counters are the only ones; everything it writes lies in its folder.
fn configuration(folder: &Path, port: &Port, upstream: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
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
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
    upstream town {{ {upstream} }}
    server {{
        listen 127.0.0.1:{};
        location /started {{ return 204; }}
        location / {{
            proxy_pass http://town;
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
