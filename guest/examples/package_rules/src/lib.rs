//! A trigger that keeps a table of packages clean: it normalises what can be normalised and refuses the rest.
//!
//! ```sql
//! CREATE FUNCTION check_package() RETURNS trigger LANGUAGE wasm AS 'package_rules:check_package';
//! CREATE TRIGGER check_package BEFORE INSERT OR UPDATE ON packages FOR EACH ROW EXECUTE FUNCTION check_package();
//! ```

use std::borrow::Cow;

use lagoon_guest::{plugin, trigger, Answer, Error};

plugin!();

/// SQLSTATEs of this plugin.
const BAD_EMAIL: &str = "LG422";
const BAD_SECTION: &str = "LG423";
const BAD_NAME: &str = "LG424";

/// Sections of the Debian archive.
const SECTIONS: [&str; 61] = [
    "admin", "cli-mono", "comm", "database", "debug", "devel", "doc", "editors", "education", "electronics", "embedded",
    "fonts", "games", "gnome", "gnu-r", "gnustep", "golang", "graphics", "hamradio", "haskell", "httpd", "interpreters",
    "introspection", "java", "javascript", "kde", "kernel", "libdevel", "libs", "lisp", "localization", "mail", "math",
    "metapackages", "misc", "net", "news", "ocaml", "oldlibs", "otherosfs", "perl", "php", "python", "raku", "ruby",
    "rust", "science", "shells", "sound", "tasks", "tex", "text", "utils", "vcs", "video", "virtual", "web", "x11",
    "xfce", "zope", "debian-installer",
];

trigger! {
    fn check_package(row) with { name: text, section: text, maintainer: text, email: text } {
        if let Some(text) = row.get(name) {
            row.set(name, Some(&tidy_name(text)?));
        }
        if let Some(text) = row.get(section) {
            row.set(section, Some(&tidy_section(text)?));
        }
        if let Some(text) = row.get(maintainer) {
            row.set(maintainer, Some(&tidy_maintainer(text)));
        }
        if let Some(text) = row.get(email) {
            row.set(email, Some(&tidy_email(text)?));
        }
        Ok(Answer::Keep)
    }
}

/// Trimmed and in lower case; borrowed if it was both before.
fn lower(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.bytes().any(|b| b.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

fn tidy_name(text: &str) -> Result<Cow<'_, str>, Error> {
    let name = lower(text);
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if name.len() >= 2 && name.bytes().all(fits) {
        return Ok(name);
    }
    Err(Error::new(BAD_NAME, format!("invalid package name \"{name}\""))
        .hint("A package name has at least two letters, digits, plus, minus or dots."))
}

fn tidy_section(text: &str) -> Result<Cow<'_, str>, Error> {
    let section = lower(text);
    let (area, plain) = section.split_once('/').unwrap_or(("main", &*section));
    if ["main", "contrib", "non-free", "non-free-firmware"].contains(&area) && SECTIONS.contains(&plain) {
        return Ok(section);
    }
    Err(Error::new(BAD_SECTION, format!("unknown section \"{section}\""))
        .hint("Use a section of the Debian archive, such as utils or non-free/libs."))
}

/// One space between words, none around them.
fn tidy_maintainer(text: &str) -> Cow<'_, str> {
    let tidy = text.trim();
    if tidy.contains("  ") || tidy.contains(['\t', '\n']) {
        return tidy.split_whitespace().collect::<Vec<_>>().join(" ").into();
    }
    tidy.into()
}

fn tidy_email(text: &str) -> Result<Cow<'_, str>, Error> {
    let email = lower(text);
    let bad = |why: &str| {
        Err(Error::new(BAD_EMAIL, format!("invalid e-mail address \"{email}\"")).detail(why.to_owned()))
    };
    let Some((local, domain)) = email.split_once('@') else { return bad("There is no @ in it.") };
    if local.is_empty() || email.contains(char::is_whitespace) || domain.contains('@') {
        return bad("There must be one word before and one after the @.");
    }
    if !domain.contains('.') || domain.split('.').any(str::is_empty) {
        return bad("The domain is not complete.");
    }
    #[cfg(feature = "v2")]
    if domain.ends_with(".invalid") || domain.ends_with(".example") {
        return bad("Nobody reads mail there.");
    }
    Ok(email)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        assert_eq!(tidy_email("  Joe@Debian.ORG ").unwrap(), "joe@debian.org");
        for bad in ["", "joe", "@debian.org", "joe@debian", "joe@@debian.org", "joe x@debian.org", "joe@.org"] {
            assert_eq!(tidy_email(bad).unwrap_err().sqlstate(), BAD_EMAIL, "{bad}");
        }
        assert_eq!(tidy_section("Non-Free/LIBS").unwrap(), "non-free/libs");
        assert_eq!(tidy_section("cheese").unwrap_err().sqlstate(), BAD_SECTION);
        assert_eq!(tidy_maintainer(" Joe \t Doe"), "Joe Doe");
        assert_eq!(tidy_name("Libc6 ").unwrap(), "libc6");
        assert_eq!(tidy_name("no spaces").unwrap_err().sqlstate(), BAD_NAME);
    }
}
