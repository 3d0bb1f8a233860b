//! Who asks: what a registry demands, and the tokens that it takes (docker's token specification).

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use ureq::http::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use ureq::http::{HeaderMap, Method};

use super::http::{Call, Http, Sent, absolute, encoded, with_query};
use super::{Error, ErrorKind, Login};

/// Tokens of registries with many scopes have some 5 kB.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_TOKEN_ANSWER: u64 = 64 * 1024;
/// What the specification says when the answer does not.
const DEFAULT_LIFE: u64 = 60;
/// A token that is older is asked for again, whatever its service says.
const MAX_LIFE: u64 = 60 * 60;
/// It has to be valid still when it arrives.
const MARGIN: u64 = 5;
const CLIENT: &str = "minidock";

/// A header `Authorization`, and how long it helps.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: String,
    pub(super) until: Option<Instant>,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").field("until", &self.until).finish_non_exhaustive()
    }
}

/// A way in which a server wants to know who asks (RFC 9110, section 11.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the registry's answer 401 leads to: nothing if there is no login that it would take.
pub(super) fn authorize(
    http: &Http,
    call: &Call,
    headers: &HeaderMap,
    scopes: &[String],
    login: Option<&Login>,
) -> Result<Option<Authorization>, Error> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<Challenge> = texts.flat_map(challenges).collect();
    let of = |scheme| all.iter().find(|challenge| challenge.scheme == scheme);
    if let Some(bearer) = of("bearer") {
        return token(http, call, bearer, scopes, login).map(Some);
    }
    match (of("basic"), login) {
        (Some(_), Some(Login::Password { user, password })) => {
            Ok(Some(Authorization { header: basic(user, password), until: None }))
        }
        (Some(_), _) => Ok(None),
        (None, _) => Err(call.protocol("status 401, but no way to authenticate that is known")),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

fn token(
    http: &Http,
    call: &Call,
    bearer: &Challenge,
    scopes: &[String],
    login: Option<&Login>,
) -> Result<Authorization, Error> {
    let realm = bearer.get("realm").ok_or_else(|| call.protocol("a realm is missing"))?;
    let realm = absolute(realm).map_err(|why| call.protocol(&format!("the realm is {why}")))?;
    if realm.scheme_str() != Some("https") && !call.insecure {
        return Err(call.protocol("the realm is not of https"));
    }
    let service = bearer.get("service").unwrap_or_default();
    let mut ask = Call {
        operation: "get a token from",
        method: Method::GET,
        url: realm,
        headers: vec![(ACCEPT, "application/json".to_owned())],
        within: call.within,
        insecure: call.insecure,
    };
    let answer = if let Some(Login::IdentityToken(token)) = login {
        ask.method = Method::POST;
        ask.headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
        let form = [
            ("grant_type", "refresh_token"),
            ("service", service),
            ("client_id", CLIENT),
            ("scope", &scopes.join(" ")),
            ("refresh_token", token),
        ]
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .join("&");
        http.send(&ask, None, Sent::Bytes(form.as_bytes()))?
    } else {
        let mut query = vec![("service", service), ("client_id", CLIENT)];
        query.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        let mut header = None;
        if let Some(Login::Password { user, password }) = login {
            query.push(("account", user));
            header = Some(basic(user, password));
        }
        ask.url = with_query(&ask.url, &query).map_err(|why| ask.protocol(why))?;
        http.send(&ask, header.as_deref(), Sent::Nothing)?
    };
    let answer = ask.expect(answer, &[200])?;
    let text = super::read_body(&ask, answer, MAX_TOKEN_ANSWER)?;
    let answer: TokenAnswer =
        serde_json::from_slice(&text).map_err(|_| ask.protocol("the answer is not understood"))?;
    authorization(answer).map_err(|kind| ask.error(kind))
}

fn authorization(answer: TokenAnswer) -> Result<Authorization, ErrorKind> {
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ErrorKind::Protocol("the answer has no token that could be used".to_owned()));
    }
    let life = answer.expires_in.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE).saturating_sub(MARGIN);
    let until = Instant::now().checked_add(Duration::from_secs(life));
    Ok(Authorization { header: format!("Bearer {token}"), until })
}

/// What a header `WWW-Authenticate` says. What makes no sense in it is skipped: a server may speak
/// of ways of which we know nothing.
fn challenges(text: &str) -> Vec<Challenge> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let mut all: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| !is_token(c));
        let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return all;
        }
        rest = after;
        let Some(value) = after.trim_start().strip_prefix('=') else {
            all.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                let (value, after) = value.split_at(end);
                (value.to_owned(), after)
            }
        };
        rest = after;
        if let Some(challenge) = all.last_mut() {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
    }
}

/// A string up to its closing quote, and what follows that.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let text = r#"Basic realm="a, \"b\"", Bearer realm="https://h/t",service=s , scope="r:a:pull,push""#;
        let all = challenges(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].scheme.as_str(), all[0].get("realm")), ("basic", Some(r#"a, "b""#)));
        assert_eq!(all[1].scheme, "bearer");
        assert_eq!(all[1].get("realm"), Some("https://h/t"));
        assert_eq!(all[1].get("service"), Some("s"));
        assert_eq!(all[1].get("scope"), Some("r:a:pull,push"));
        let negotiate = challenges("Negotiate abc==, BASIC");
        assert_eq!(negotiate.last().unwrap().scheme, "basic");
        assert!(challenges(r#"realm="x""#).is_empty());
    }

    #[test]
    fn a_token_is_one_word_and_has_an_end() {
        let answer = |token: &str, life| {
            authorization(TokenAnswer {
                token: token.to_owned(),
                access_token: "other".to_owned(),
                expires_in: life,
            })
        };
        assert_eq!(answer("", None).unwrap().header, "Bearer other");
        let endless = answer("t", Some(u64::MAX)).unwrap().until.unwrap();
        assert!(endless <= Instant::now() + Duration::from_secs(MAX_LIFE));
        assert!(answer("a b", None).is_err());
        assert!(answer("a\r\nX: y", None).is_err());
        assert!(answer(&"a".repeat(MAX_TOKEN + 1), None).is_err());
        assert!(!format!("{:?}", answer("secret", None).unwrap()).contains("secret"));
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(text in "[ a-zA-Z=,\"\\\\é]*") {
            challenges(&text);
        }
    }
}
