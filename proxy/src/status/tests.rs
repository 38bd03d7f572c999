use super::*;

fn server(name: &str, state: &str) -> Server {
    Server {
        name: name.to_owned(),
        state: state.to_owned(),
        out_for: None,
        backup: false,
        weight: 1,
        slow_start: None,
        connections: 0,
        max_conns: 0,
        fails: 0,
        max_fails: 1,
        handshakes_limited_total: 0,
        check: None,
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        phase: "running".to_owned(),
        config: Config {
            loaded_at: 784_111_777,
            last_reload_successful: false,
        },
        connections: 12,
        upstreams: vec![Upstream {
            name: "chat".to_owned(),
            balance: "ip_hash".to_owned(),
            sticky: vec!["sid".to_owned(), "cookie".to_owned()],
            websockets: 10,
            failing_open: true,
            handshakes: Some(Handshakes {
                limiting: true,
                limited_total: 7,
            }),
            servers: vec![
                Server {
                    weight: 5,
                    slow_start: Some(40),
                    connections: 3,
                    max_conns: 100,
                    check: Some(Check {
                        result: "passed".to_owned(),
                        why: None,
                        seconds_ago: 2,
                    }),
                    ..server("app1:3000", "up")
                },
                Server {
                    out_for: Some(9),
                    backup: true,
                    fails: 3,
                    max_fails: 3,
                    handshakes_limited_total: 7,
                    check: Some(Check {
                        result: "failed".to_owned(),
                        why: Some("status 503".to_owned()),
                        seconds_ago: 0,
                    }),
                    ..server("unix:/run/app.sock", "out")
                },
            ],
        }],
    }
}

#[test]
fn people_get_a_table() {
    let table = "\
berth-proxy 0.1.0 running, 12 connections, configuration read Sun, 06 Nov 1994 08:49:37 GMT
The last reload was refused: see the log.

chat: ip_hash, sticky by sid and cookie, 10 WebSockets, 7 handshakes limited (now)
  No server may serve: the least bad one is asked.
  SERVER              STATE                WEIGHT    CONNECTIONS  FAILS  LIMITED  LAST CHECK
  app1:3000           up                   5 (40 %)  3/100        0/1    0        passed 2 s ago
  unix:/run/app.sock  out for 9 s, backup  1         0            3/3    7        failed 0 s ago: status 503
";
    assert_eq!(status().to_string(), table);
}

#[test]
fn scripts_get_these_names() {
    let json = serde_json::to_value(status()).unwrap();
    assert_eq!(
        json["config"],
        serde_json::json!({ "loaded_at": 784_111_777, "last_reload_successful": false })
    );
    assert_eq!(
        json["upstreams"][0]["servers"][1],
        serde_json::json!({
            "name": "unix:/run/app.sock", "state": "out", "out_for": 9, "backup": true, "weight": 1,
            "slow_start": null, "connections": 0, "max_conns": 0, "fails": 3, "max_fails": 3,
            "handshakes_limited_total": 7,
            "check": { "result": "failed", "why": "status 503", "seconds_ago": 0 },
        })
    );
    let upstream = &json["upstreams"][0];
    assert_eq!(
        upstream["handshakes"],
        serde_json::json!({ "limiting": true, "limited_total": 7 })
    );
    assert_eq!(upstream["sticky"], serde_json::json!(["sid", "cookie"]));
}

#[test]
fn a_newer_proxy_may_say_more() {
    let mut json = serde_json::to_value(status()).unwrap();
    json["news"] = serde_json::json!(["of a later version"]);
    assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status());
}
