//! What a command line means.

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, Verb};

/// The verb and file of a command line, or the exit code that refuses it.
fn check(line: &str) -> Result<(Option<Verb>, bool, Option<String>), i32> {
    let words = std::iter::once("berth-proxy").chain(line.split_whitespace());
    let cli = Cli::try_parse_from(words).map_err(|error| error.exit_code())?;
    Ok((
        cli.verb,
        cli.test,
        cli.config.map(|path| path.display().to_string()),
    ))
}

#[test]
fn the_declaration_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_file_may_stand_before_and_after_the_verb() {
    let file = Some("f".to_owned());
    assert_eq!(check("-c f"), Ok((None, false, file.clone())));
    assert_eq!(check("-t -c f"), Ok((None, true, file.clone())));
    assert_eq!(
        check("run -c f"),
        Ok((Some(Verb::Run), false, file.clone()))
    );
    assert_eq!(
        check("--config f check"),
        Ok((Some(Verb::Check), false, file.clone()))
    );
    assert_eq!(
        check("reload --config=f"),
        Ok((Some(Verb::Reload), false, file.clone()))
    );
    assert_eq!(check("health -c f"), Ok((Some(Verb::Health), false, file)));
    assert_eq!(check(""), Ok((None, false, None)));
}

#[test]
fn wrong_usage_is_2_and_asking_for_help_is_0() {
    assert_eq!(check("destroy"), Err(2));
    assert_eq!(check("check -c"), Err(2));
    assert_eq!(check("--version"), Err(0));
    assert_eq!(check("--help"), Err(0));
}

#[test]
fn the_doctors_words_are_bounded() {
    assert!(check("doctor https://a.b --quick --sessions 2 --timeout 500ms").is_ok());
    for bad in [
        "doctor",
        "doctor https://a.b --timeout 10",
        "doctor https://a.b --timeout 0s",
        "doctor https://a.b --sessions 1",
        "doctor https://a.b --sessions 1000",
    ] {
        assert_eq!(check(bad), Err(2), "{bad}");
    }
}

#[test]
fn t_with_another_verb_is_refused() {
    let refused = Cli::try_parse_from(["berth-proxy", "-t", "-c", "f", "reload"])
        .unwrap()
        .obey()
        .unwrap_err();
    assert_eq!(refused.code, 2);
}
