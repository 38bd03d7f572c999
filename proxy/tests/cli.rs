//! The program as its caller sees it: what it prints, and its exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn berth_proxy(folder: &Path, words: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_berth-proxy"))
        .current_dir(folder)
        .args(words)
        .env_remove("LOG_LEVEL")
        .env_remove("LOG_FORMAT")
        .output()
        .unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with this text as `proxy.toml`.
fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

const GOOD: &str = "[upstream.app]\nservers = [\"app1.invalid:3000\"]\n";

#[test]
fn a_good_file_passes_without_dns() {
    let (_folder, path) = folder(GOOD);
    for words in [
        ["check", "-c", "proxy.toml"],
        ["-t", "--config", "proxy.toml"],
    ] {
        let outcome = berth_proxy(&path, &words);
        assert_eq!(
            outcome.stdout,
            "configuration file proxy.toml test is successful\n"
        );
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_bad_file_is_2_and_every_problem_has_a_line() {
    let (_folder, path) = folder(
        "[server]\nthreads = 0\ndrain_timeout = 30\n[upstream.app]\nservers = [\"app1:3000\"]\n",
    );
    for verb in ["check", "run"] {
        let outcome = berth_proxy(&path, &[verb, "-c", "proxy.toml"]);
        assert_eq!(outcome.code, Some(2));
        assert_eq!(
            outcome.stderr,
            "proxy.toml:2:11: server.threads: 0 is too small; write 1 to 256\n\
             proxy.toml:3:17: server.drain_timeout: 30 has no unit; write \"30s\", with quotes and unit\n\
             (2 problems; nothing was started)\n"
        );
    }
}

#[test]
fn the_default_file_is_in_the_config_folder() {
    let (_folder, path) = folder(GOOD);
    fs::create_dir(path.join("config")).unwrap();
    fs::write(path.join("config/proxy.toml"), GOOD).unwrap();
    let outcome = berth_proxy(&path, &["check"]);
    assert_eq!(
        outcome.stdout,
        "configuration file config/proxy.toml test is successful\n"
    );
}

#[test]
fn a_reload_with_a_bad_file_signals_nobody() {
    let (_folder, path) = folder("[server]\npid_file = \"pid\"\n");
    let outcome = berth_proxy(&path, &["reload", "-c", "proxy.toml"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome
            .stderr
            .ends_with("(1 problem; nothing was reloaded)\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_reload_needs_a_running_proxy() {
    let (_folder, path) = folder(&format!("{GOOD}[server]\npid_file = \"pid\"\n"));
    let outcome = berth_proxy(&path, &["reload", "-c", "proxy.toml"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("no proxy seems to be running"),
        "{}",
        outcome.stderr
    );

    // A leftover of a proxy that was killed, naming a process that is not a proxy.
    fs::write(path.join("pid"), format!("{}\n", std::process::id())).unwrap();
    let outcome = berth_proxy(&path, &["reload", "-c", "proxy.toml"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("is a leftover"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_held_pid_file_refuses_a_second_proxy() {
    let (_folder, path) = folder(&format!(
        "{GOOD}[server]\npid_file = \"pid\"\nlisten = [\"127.0.0.1:0\"]\n"
    ));
    let mut held = fs::File::create(path.join("pid")).unwrap();
    held.lock().unwrap();
    writeln!(held, "4711").unwrap();
    let outcome = berth_proxy(&path, &["run", "-c", "proxy.toml"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("held by process 4711, which is running"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read_to_string(path.join("pid")).unwrap(), "4711\n");
}

/// A proxy that does not outlive a failing test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

/// Reads the program's log until a line holds the text, and shows what it read.
fn wait_for(log: &mut impl BufRead, text: &str) -> String {
    let mut read = String::new();
    while !read.lines().last().is_some_and(|line| line.contains(text)) {
        assert!(
            log.read_line(&mut read).unwrap() > 0,
            "the log ended without {text:?}"
        );
    }
    read
}

#[test]
fn a_running_proxy_is_reloaded_and_stopped() {
    let (_folder, path) = folder(&format!(
        "{GOOD}[server]\npid_file = \"pid\"\nlisten = [\"127.0.0.1:0\"]\n"
    ));
    let program = Command::new(env!("CARGO_BIN_EXE_berth-proxy"))
        .current_dir(&path)
        .args(["run", "-c", "proxy.toml", "--log-level", "info"])
        .stdout(Stdio::piped())
        .spawn();
    let mut proxy = Running(program.unwrap());
    let mut log = BufReader::new(proxy.0.stdout.take().unwrap());
    wait_for(&mut log, "listening");
    while fs::read_to_string(path.join("pid")).unwrap().is_empty() {
        thread::yield_now();
    }
    let second = berth_proxy(&path, &["run", "-c", "proxy.toml"]);
    let held = format!("held by process {}", proxy.0.id());
    assert!(second.stderr.contains(&held), "{}", second.stderr);

    assert_eq!(
        berth_proxy(&path, &["reload", "-c", "proxy.toml"]).code,
        Some(0)
    );
    wait_for(&mut log, "reloaded");
    fs::write(
        path.join("proxy.toml"),
        "[server]\npid_file = \"pid\"\nthreads = 0\n",
    )
    .unwrap();
    assert_eq!(
        berth_proxy(&path, &["reload", "-c", "proxy.toml"]).code,
        Some(2)
    );

    let id = Pid::from_raw(proxy.0.id().try_into().unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    assert_eq!(proxy.0.wait().unwrap().code(), Some(0));
    assert!(!path.join("pid").exists());
}

const KEYS: [&str; 2] = [
    "89e6f1a2c0b34d57a1e2f3c4d5b6a798",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
];

/// A file in which both sticky methods have keys.
fn with_keys(folder: &Path) -> String {
    format!(
        "[server]\nlisten = [\"unix:{}/sock\"]\npid_file = \"pid\"\n[upstream.app]\nsticky = [\"sid\", \"cookie\"]\n\
         servers = [\"127.0.0.1:1\"]\n[upstream.app.sid]\nkeys = {KEYS:?}\n[upstream.app.cookie]\nkeys = {KEYS:?}\n",
        folder.display()
    )
}

/// Has the proxy answer forged marks and nonsense.
fn provoke(folder: &Path) {
    for request in [
        "GET /?EIO=4&transport=polling&sid=X~a.b HTTP/1.1\r\nHost: a\r\nCookie: srv_id=x.y\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    ] {
        let mut client = UnixStream::connect(folder.join("sock")).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        assert!(client.read(&mut [0; 64]).unwrap() > 0);
    }
}

#[test]
fn signing_keys_are_never_shown() {
    let (_folder, path) = folder("");
    let file = path.join("proxy.toml");
    let text = with_keys(&path);
    fs::write(&file, &text).unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_berth-proxy"))
        .current_dir(&path)
        .args(["run", "-c", "proxy.toml", "--log-level", "trace"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut proxy = Running(program.unwrap());
    let mut log = BufReader::new(proxy.0.stdout.take().unwrap());
    let mut logged = wait_for(&mut log, "listening");
    provoke(&path);
    fs::write(&file, text.replace("keys = [", "keys = [[")).unwrap();
    let id = Pid::from_raw(proxy.0.id().try_into().unwrap());
    kill(id, Signal::SIGHUP).unwrap();
    logged += &wait_for(&mut log, "proxy.toml");
    let reload = berth_proxy(&path, &["reload", "-c", "proxy.toml"]);
    fs::write(&file, &text).unwrap();
    let ask = ["explain", "--ip", "10.0.0.1", "--cookie", "srv_id=x.y"];
    let explained = berth_proxy(&path, &[&ask[..], &["-c", "proxy.toml"]].concat());
    kill(id, Signal::SIGTERM).unwrap();
    let mut errors = String::new();
    log.read_to_string(&mut logged).unwrap();
    let mut stderr = proxy.0.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!((reload.code, explained.code), (Some(2), Some(0)));
    let (said, told) = (explained.stdout, explained.stderr);
    for shown in [logged, errors, reload.stderr, said, told] {
        assert!(!KEYS.iter().any(|key| shown.contains(key)), "{shown}");
    }
}

#[test]
fn health_asks_the_admin_listener_even_while_the_file_is_being_edited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_folder, path) = folder(&format!(
        "[admin]\nlisten = \"{address}\"\n[upstream.app]\nservers = [\n"
    ));
    let admin = thread::spawn(move || {
        for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 Oops\r\n\r\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    assert_eq!(
        berth_proxy(&path, &["health", "-c", "proxy.toml"]).code,
        Some(0)
    );
    assert_eq!(
        berth_proxy(&path, &["health", "-c", "proxy.toml"]).code,
        Some(1)
    );
    admin.join().unwrap();
    assert_eq!(
        berth_proxy(&path, &["health", "-c", "proxy.toml"]).code,
        Some(1)
    );
}

#[test]
fn wrong_usage_is_2() {
    let (_folder, path) = folder(GOOD);
    for words in [
        &["destroy"][..],
        &["run", "-c", "proxy.toml", "--log-level", "a=b=c"],
        &["run", "-c", "proxy.toml", "--log-format", "xml"],
        &["check", "--file", "x"],
        &["-t", "reload", "-c", "proxy.toml"],
        &["check", "-c", "none.toml"],
        &["check"],
    ] {
        assert_eq!(berth_proxy(&path, words).code, Some(2), "{words:?}");
    }
    assert!(
        berth_proxy(&path, &["--version"])
            .stdout
            .starts_with("berth-proxy ")
    );
}

/// An nginx configuration with this line in its location.
fn nginx_conf(folder: &Path, line: &str) {
    let text = format!(
        "http {{ upstream app {{ ip_hash; server app1:3000; }}\nserver {{ listen 80; location / {{\n\
         proxy_set_header Host $host; proxy_pass http://app;\n{line}\n}} }} }}"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
}

#[test]
fn what_is_imported_from_nginx_passes_check() {
    let (_folder, path) = folder("");
    nginx_conf(&path, "");
    let outcome = berth_proxy(&path, &["import-nginx", "--strict", "nginx.conf"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    fs::write(path.join("proxy.toml"), outcome.stdout).unwrap();
    assert_eq!(
        berth_proxy(&path, &["check", "-c", "proxy.toml"]).code,
        Some(0)
    );
}

#[test]
fn what_nginx_does_and_we_do_not_is_told_and_fails_when_strict() {
    let (_folder, path) = folder("");
    nginx_conf(&path, "gzip on;");
    let told = "nginx.conf:4: gzip: Berth neither compresses nor caches; let the servers do it, or something in front\n";
    let outcome = berth_proxy(&path, &["import-nginx", "nginx.conf"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), told));
    let strict = berth_proxy(&path, &["import-nginx", "nginx.conf", "--strict"]);
    let told = format!("{told}(1 thing is not as in nginx)\n");
    assert_eq!(
        (strict.code, strict.stderr, strict.stdout),
        (Some(1), told, outcome.stdout)
    );
}

#[test]
fn what_cannot_be_imported_is_2() {
    let (_folder, path) = folder("");
    nginx_conf(&path, "}");
    for (file, told) in [
        ("gone.conf", "gone.conf:1: cannot be read: "),
        ("nginx.conf", "nginx.conf:5: a } closes nothing"),
    ] {
        let outcome = berth_proxy(&path, &["import-nginx", file]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.starts_with(told), "{}", outcome.stderr);
    }
}

#[test]
fn explain_names_the_server_and_the_reason() {
    let (_folder, path) = folder(
        "[upstream.app]\nbalance = \"ip_hash\"\nservers = [\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\"]\n\
         [[route]]\npath = \"/socket.io/\"\nupstream = \"app\"\n",
    );
    let ask = ["explain", "-c", "proxy.toml", "--ip", "192.168.1.10"];
    let outcome = berth_proxy(&path, &ask);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        outcome.stdout,
        "10.0.0.2:1 of app\n\
         - For host \"localhost\" and path \"/socket.io/\" the upstream is app.\n\
         - ip_hash takes the first three numbers of 192.168.1.10, and the servers' order and weights.\n\
         - All this presumes that the servers are well and have room.\n"
    );
    let json = berth_proxy(&path, &[&ask[..], &["--json"]].concat()).stdout;
    let beginning = "{\"upstream\":\"app\",\"server\":\"10.0.0.2:1\",\"candidates\":[{\"server\":\"10.0.0.2:1\",\"weight\":1}],\"why\":[";
    assert!(json.starts_with(beginning), "{json}");
    let nobody = berth_proxy(&path, &[&ask[..], &["--path", "/"]].concat());
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.stdout.starts_with("nobody (404)\n"),
        "{}",
        nobody.stdout
    );
    assert_eq!(
        berth_proxy(&path, &["explain", "-c", "proxy.toml"]).code,
        Some(2)
    );
}
