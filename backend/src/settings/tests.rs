use proptest::prelude::{any, prop_assert, proptest};

use super::*;

/// The reference that ships.
const REFERENCE: &str = include_str!("../../../config/backend.toml");

fn file(text: &str) -> Result<Settings, Problems> {
    assemble("backend.toml", text, &Overrides::default())
}

#[track_caller]
fn problems(text: &str, expected: &[&str]) {
    let problems = file(text).unwrap_err();
    let shown: Vec<_> = problems
        .0
        .iter()
        .map(|p| format!("{}: {}", p.place, p.message))
        .collect();
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(
            shown.contains(expected),
            "{shown:?} does not contain {expected:?}"
        );
    }
}

#[test]
fn the_shipped_file_gives_the_defaults() {
    assert_eq!(file(REFERENCE).unwrap(), Settings::default());
    assert_eq!(file("").unwrap(), Settings::default());
}

/// serde names the keys of a section when it meets one that it does not know.
fn keys_of(section: &str) -> Vec<String> {
    let problems = file(&format!("[{section}]\nno_such_key = 1\n")).unwrap_err();
    let message = problems.0[0].message.clone();
    let (_, listed) = message.split_once("expected").unwrap();
    listed
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_shipped_file_has_every_key_and_no_other() {
    let mut section = String::new();
    let mut found = std::collections::BTreeMap::<String, Vec<String>>::new();
    for line in REFERENCE.lines() {
        let bare = line.trim_start_matches("#").trim_start();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, _)) = bare.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && !line.starts_with("##")
        {
            found
                .entry(section.clone())
                .or_default()
                .push(key.to_owned());
        }
    }
    let sections = [
        "server", "engine", "chat", "changes", "append", "store", "redis", "session", "admin",
        "auth", "jwt", "presence", "rooms", "search", "webhooks", "log",
    ];
    assert_eq!(found.len(), sections.len());
    for section in sections {
        assert_eq!(found[section], keys_of(section), "[{section}]");
    }
}

#[test]
fn what_is_printed_can_be_read_back() {
    let mut settings = Settings::default();
    settings.server.instance = Some("app1".to_owned());
    settings.server.cors_origins = Origins::Only(vec!["https://chat.example.com".to_owned()]);
    settings.server.readiness_requires = Some(vec![Dependency::Store]);
    settings.engine.transports = Transports::WebSocket;
    settings.append.timeout = Duration::from_millis(1_500);
    settings.auth.registration = false;
    settings.auth.trusted_proxies = vec!["10.0.0.7/32".parse().unwrap()];
    settings.jwt.algorithms = Some(vec![JwtAlgorithm::EdDsa]);
    settings.jwt.public_keys = vec![PathBuf::from("id.pem")];
    settings.jwt.jwks_url = Some("https://id.example.com/jwks.json".to_owned());
    settings.jwt.leeway = Duration::ZERO;
    settings.presence.grace = Duration::from_millis(500);
    assert_eq!(file(&settings.to_string()).unwrap(), settings);
}

#[test]
fn secrets_are_never_printed() {
    let overrides = Overrides {
        redis_url: Some("redis://:hunter2@redis:6379".to_owned()),
        mongo_uri: Some("mongodb://u:hunter2@mongo/chat".to_owned()),
        session_secret: Some("hunter2,hunter2-old".to_owned()),
        admin_token: Some("hunter2-hunter2-hunter2".to_owned()),
        jwt_secret: Some("hunter2".to_owned()),
        api_keys: Some(format!("deploy:{KEY_HASH}")),
        webhook_url: Some("https://example.com/hook?token=hunter2".to_owned()),
        webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
        ..Overrides::default()
    };
    let settings = assemble("", "", &overrides).unwrap();
    assert_eq!(settings.session.secrets.len(), 2);
    for shown in [settings.to_string(), format!("{settings:?}")] {
        assert!(
            shown.contains("***")
                && !["hunter2", "MfKQ", &KEY_HASH[..8]]
                    .iter()
                    .any(|secret| shown.contains(secret)),
            "{shown}"
        );
    }
    let bad = Overrides {
        redis_url: Some("hunter2".to_owned()),
        ..Overrides::default()
    };
    assert!(
        !assemble("", "", &bad)
            .unwrap_err()
            .to_string()
            .contains("hunter2")
    );
}

#[test]
fn a_typo_is_placed() {
    problems(
        "[server]\nprot = 3000\n",
        &["backend.toml:2:1: unknown field `prot`"],
    );
    problems(
        "[server]\nport = \"x\"\n",
        &["backend.toml:2:8: invalid type: string \"x\", expected a number from 0 to 65535"],
    );
    problems("[server\n", &["backend.toml:1:"]);
    problems("[serve]\n", &["backend.toml:1:2: unknown field `serve`"]);
}

#[test]
fn broken_rules_are_reported_together() {
    problems(
        "[server]\nhost = \"here\"\nconnections_max = 0\n\n[engine]\nping_interval = \"25\"\n\
         transports = [\"carrier pigeon\"]\n[chat]\ncontent_bytes_max = \"0B\"\n[store]\nkind = \"mongodb\"\n",
        &[
            "backend.toml:2:8: server.host: \"here\" is not an IP address",
            "backend.toml:3:19: server.connections_max: must be at least 1",
            "backend.toml:6:17: engine.ping_interval: \"25\" is not a duration",
            "backend.toml:7:14: engine.transports: \"carrier pigeon\" is not a transport",
            "backend.toml:9:21: chat.content_bytes_max: must be more than 0",
            "backend.toml: store.kind is \"mongodb\" but there is no URI",
        ],
    );
}

#[test]
fn what_tokens_are_believed_by_is_judged() {
    problems(
        "[auth]\ntoken_ttl = \"1h\"\ntrusted_proxies = [\"here\"]\n[jwt]\nalgorithms = [\"none\"]\n\
         jwks_url = \"jwks.json\"\nsecrets = [\"\"]\n",
        &[
            "backend.toml:2:13: auth.token_ttl: \"1h\" is not from 5m to 15m",
            "backend.toml:3:19: auth.trusted_proxies: \"here\" is not an address or network",
            "jwt.secrets: a secret is empty",
            "backend.toml:5:14: jwt.algorithms: \"none\" is not an algorithm for tokens",
            "jwt.jwks_url: \"jwks.json\" is not a web address",
        ],
    );
}

#[test]
fn flags_and_environment_win_over_the_file() {
    let overrides = Overrides {
        port: Some("4000".to_owned()),
        log_level: Some("DEBUG".to_owned()),
        mongo_uri: Some("mongodb://mongo/chat".to_owned()),
        host: Some(String::new()),
        ..Overrides::default()
    };
    let text = "[server]\nport = 5000\nhost = \"127.0.0.1\"\n";
    let settings = assemble("f", text, &overrides).unwrap();
    assert_eq!(
        (settings.server.port, settings.log.level),
        (4000, Level::Debug)
    );
    assert_eq!(settings.server.host.to_string(), "127.0.0.1");
    assert_eq!(settings.store.kind, StoreKind::MongoDb);
    let overrides = Overrides {
        port: Some("70000".to_owned()),
        ..overrides
    };
    let problems = assemble("f", text, &overrides).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("--port: \"70000\" is not a port"),
        "{problems}"
    );
}

const KEY_HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn keys_of_bots_are_of_the_environment_or_the_file() {
    let other = KEY_HASH.replace('9', "a");
    let entry =
        |name: &str, hash: &str| format!("{{ name = \"{name}\", key_sha256 = \"{hash}\" }}");
    let text = format!(
        "[auth]\napi_keys = [{}, {}]\n",
        entry("deploy", KEY_HASH),
        entry("deploy", &other)
    );
    let names = |overrides: &Overrides| -> Vec<String> {
        let keys = assemble("f", &text, overrides).unwrap().auth.api_keys;
        keys.iter()
            .map(|bot| bot.name.as_str().to_owned())
            .collect()
    };
    assert_eq!(names(&Overrides::default()), ["deploy", "deploy"]);
    let overrides = Overrides {
        api_keys: Some(format!("ci:{}, cron:{other}", KEY_HASH.to_uppercase())),
        ..Overrides::default()
    };
    assert_eq!(names(&overrides), ["ci", "cron"]);
}

#[test]
fn every_mistake_in_a_bots_key_is_named_and_the_key_not_shown() {
    let text = format!(
        "[auth]\napi_keys = [\n{{ name = \"a b\", key_sha256 = \"hunter2\" }},\n\
         {{ name = \"a\", key_sha256 = \"{KEY_HASH}\" }},\n\
         {{ name = \"b\", key_sha256 = \"{KEY_HASH}\" }},\n]\n"
    );
    problems(
        &text,
        &[
            "backend.toml:3:10: auth.api_keys.name: \"a b\" is not a bot's name",
            "backend.toml:3:30: auth.api_keys.key_sha256: is not the SHA-256 of a key",
            "backend.toml:5:28: auth.api_keys.key_sha256: is there already, as \"a\"'s",
        ],
    );
    for given in ["hunter2", "deploy:hunter2", "a b:hunter2"] {
        let overrides = Overrides {
            api_keys: Some(given.to_owned()),
            ..Overrides::default()
        };
        let problem = assemble("", "", &overrides).unwrap_err().to_string();
        assert!(problem.starts_with("API_KEYS: "), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

/// Of 24 bytes.
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn webhooks_are_of_the_file_and_of_the_environment() {
    let text = format!(
        "[[webhooks.hook]]\nid = \"audit\"\nurl = \"https://example.com/a\"\nsecrets = [\"{WEBHOOK_SECRET}\"]\n\
         rooms = [\"lobby\", \"dm:*\"]\nkinds = [\"message\"]\n"
    );
    let overrides = Overrides {
        webhook_url: Some("http://127.0.0.1:9/".to_owned()),
        webhook_secret: Some(format!("{WEBHOOK_SECRET},{WEBHOOK_SECRET}")),
        ..Overrides::default()
    };
    let hooks = assemble("f", &text, &overrides).unwrap().webhooks.hooks;
    let shown: Vec<_> = hooks
        .iter()
        .map(|hook| {
            (
                hook.id.as_str(),
                hook.secrets.len(),
                hook.wants.rooms().len(),
            )
        })
        .collect();
    assert_eq!(shown, [("audit", 1, 2), ("env", 2, 0)]);
}

#[test]
fn every_mistake_in_a_webhook_is_named() {
    problems(
        "[[webhooks.hook]]\nid = \"a b\"\nurl = \"example.com\"\nsecrets = [\"hunter2\"]\nkinds = [\"whisper\"]\nrooms = [\"user:1\"]\n",
        &[
            "backend.toml:2:6: webhooks.hook.id: \"a b\"",
            "backend.toml:3:7: webhooks.hook.url: is no URL",
            "backend.toml:4:11: webhooks.hook.secrets: is no secret",
            "backend.toml:5:9: webhooks.hook.kinds: \"whisper\"",
            "backend.toml:6:9: webhooks.hook.rooms: \"user:1\"",
        ],
    );
    let hook = format!(
        "[[webhooks.hook]]\nid = \"a\"\nurl = \"http://h/\"\nsecrets = [\"{WEBHOOK_SECRET}\"]\n"
    );
    problems(&format!("{hook}{hook}"), &["\"a\" is taken"]);
    let alone = Overrides {
        webhook_url: Some("http://127.0.0.1:9/".to_owned()),
        ..Overrides::default()
    };
    let problem = assemble("", "", &alone).unwrap_err().to_string();
    assert!(problem.contains("go together"), "{problem}");
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(
        text in any::<String>(),
        marks in "[\\[\\]{}=.,#\"'a-c0-9 \n-]{0,80}",
    ) {
        for text in [text, marks] {
            if let Err(problems) = file(&text) {
                prop_assert!(!problems.0.is_empty());
            }
        }
    }

    /// Every key of the reference with a value of another kind.
    #[test]
    fn any_value_is_judged_without_panic(
        line in 0..REFERENCE.lines().count(),
        value in r#"(-?[0-9]{1,20}|"[ -~&&[^"\\]]{0,20}"|\[\]|true|\{\}|[0-9.]{1,5})"#,
    ) {
        let lines = REFERENCE.lines().enumerate().map(|(number, text)| match text.split_once(" = ") {
            Some((key, _)) if number == line => format!("{} = {value}\n", key.trim_start_matches(['#', ' '])),
            _ => format!("{text}\n"),
        });
        let text: String = lines.collect();
        if let Err(problems) = file(&text) {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
