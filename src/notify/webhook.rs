//! Webhooks: our own JSON, and what chats understand.
//!
//! A chat takes text of devices for mentions, links and marks of its own if one lets it, so
//! each gets it in the form that obeys none: plain text where there is such a thing, quoted as
//! code or with its marks replaced where there is not. Bounds are those of each service, or
//! less where it tells none.

use std::time::Duration;

use anyhow::{Context as _, Result};
use config::route::{Secret, Webhook as Setting, WebhookForm, WebhookUrl};
use inventory::outbox::Failure;
use ring::hmac;
use scanner::net::download::{Scheme, WebAddress};
use serde_json::{Value, json};

use super::{
    Letter, Trouble,
    http::{self, Post},
    secret, text,
    tls::Trust,
};
use crate::report::hex;

/// A web server that is told.
#[derive(Debug)]
pub(super) struct Webhook {
    url: WebhookUrl,
    form: WebhookForm,
    token: Option<Secret>,
    signing: Option<Secret>,
    proxy: Option<WebAddress>,
    trust: Trust,
}

impl Webhook {
    /// Reads addresses and roots.
    pub(super) fn load(setting: &Setting) -> Result<Self> {
        let Setting { url, form, token, signing, proxy, roots } = setting.clone();
        if let WebhookUrl::Given(url) = &url {
            // Not shown: it may be a secret.
            WebAddress::read(url).context("url")?;
        }
        let proxy = proxy.map(|proxy| WebAddress::read(&proxy).context("proxy")).transpose()?;
        anyhow::ensure!(
            proxy.as_ref().is_none_or(|proxy| proxy.scheme == Scheme::Http),
            "proxy: only one that is asked by http:// can be used"
        );
        Ok(Self { url, form, token, signing, proxy, trust: Trust::load(roots.as_deref())? })
    }

    /// Posts it; gives the server's words, without what of ours is secret in them.
    pub(super) async fn send(&self, letter: &Letter, limit: Duration) -> Result<String, Trouble> {
        let to = http::address(&self.url)?;
        let (media_type, body) = body(self.form, letter);
        let key = &letter.parts.id;
        let mut fields = vec![("Idempotency-Key", key.clone())];
        let mut secrets = secret_parts(&to.path);
        if let Some(token) = &self.token {
            let token = secret(token)?;
            secrets.push(token.to_string());
            fields.push(match self.form {
                WebhookForm::Chatwork => ("X-ChatWorkToken", token.to_string()),
                _ => ("Authorization", format!("Bearer {}", token.as_str())),
            });
        }
        if let Some(signing) = &self.signing {
            let signing = hmac::Key::new(hmac::HMAC_SHA256, secret(signing)?.as_bytes());
            let signed = hmac::sign(&signing, &body);
            fields.push(("Daicho-Signature", format!("sha256={}", hex(signed.as_ref()))));
        }
        let post = Post { media_type, fields, body };
        let answer = http::post(&to, self.proxy.as_ref(), &self.trust, &post, limit).await?;
        let said = String::from_utf8_lossy(&answer.body);
        let words = format!("{} {} {}", answer.status, answer.reason, said.trim());
        let words = without(&words, secrets);
        match answer.status {
            200..300 => Ok(words),
            // To whom it leads on is for the configuration to say.
            300..400 => Err(Trouble::refused(format!("{words} (no redirection is followed)"))),
            408 | 425 | 429 | 500.. => {
                let asked = answer.field("retry-after").and_then(|value| value.parse().ok());
                Err(Trouble { failure: Failure::Later(asked), words })
            }
            _ => Err(Trouble::refused(words)),
        }
    }
}

/// What of an address may be its secret: parts of the path and values of the query, unless they
/// are too short for one. Error pages like to repeat them.
fn secret_parts(path: &str) -> Vec<String> {
    let parts = path.split(['/', '?', '&', '=', '#']);
    parts.filter(|part| part.len() >= 8).map(str::to_owned).collect()
}

/// A text with `…` in place of these, the longest first, for one may be part of another.
fn without(text: &str, mut secrets: Vec<String>) -> String {
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
}

/// Media type and body of what a service is posted.
fn body(form: WebhookForm, letter: &Letter) -> (&'static str, Vec<u8>) {
    const JSON: &str = "application/json; charset=utf-8";
    let value = match form {
        WebhookForm::Json => return (JSON, letter.json().into_bytes()),
        WebhookForm::Chatwork => {
            let text = chatwork(letter);
            let body = format!("self_unread=1&body={}", percent(&text));
            return ("application/x-www-form-urlencoded", body.into_bytes());
        }
        WebhookForm::Slack => slack(letter),
        WebhookForm::Teams => teams(letter),
        WebhookForm::Mattermost => mattermost(letter),
        WebhookForm::LineWorks => json!({
            "title": text::cut(&letter.subject, 100),
            "body": { "text": text::cut(&letter.text, 2_000) },
        }),
    };
    (JSON, value.to_string().into_bytes())
}

/// Sections of plain text, which knows no marks; the text of the notification with the three
/// letters replaced that begin marks in it.
fn slack(letter: &Letter) -> Value {
    let subject = letter.subject.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let plain = |text: String| json!({ "type": "plain_text", "text": text, "emoji": false });
    let sections = pieces(&letter.text, 2_800, 10);
    let mut blocks =
        vec![json!({ "type": "header", "text": plain(text::cut(&letter.subject, 140)) })];
    blocks
        .extend(sections.into_iter().map(|text| json!({ "type": "section", "text": plain(text) })));
    json!({ "text": subject, "blocks": blocks })
}

/// Bytes of the lines of a card.
const TEAMS: usize = 24_000;

/// An adaptive card of rich text, whose runs know no marks.
fn teams(letter: &Letter) -> Value {
    let run = |text: &str, weight: &str| {
        json!({
            "type": "RichTextBlock",
            "inlines": [{ "type": "TextRun", "text": text, "weight": weight }],
        })
    };
    let subject = run(&letter.subject, "bolder");
    let mut size = subject.to_string().len();
    let mut body = vec![subject];
    // A message has at most 28 KB as it is posted: with what every line costs by itself, and
    // what is escaped.
    for line in letter.text.lines().filter(|line| !line.trim().is_empty()).take(120) {
        let line = run(line, "default");
        size += line.to_string().len() + 1;
        if size > TEAMS {
            body.push(run("…", "default"));
            break;
        }
        body.push(line);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": body,
            },
        }],
    })
}

/// A block of code, in which nothing is a mark but its end.
fn mattermost(letter: &Letter) -> Value {
    let text = format!("{}\n\n{}", letter.subject, letter.text).replace('`', "'");
    json!({ "text": format!("```text\n{}\n```", text::cut(&text, 15_000)) })
}

/// Brackets begin marks, so those of others become wide ones.
fn chatwork(letter: &Letter) -> String {
    let quoted = |text: &str| text.replace('[', "［").replace(']', "］");
    let text = text::cut(&quoted(&letter.text), 20_000);
    format!("[info][title]{}[/title]{text}[/info]", quoted(&letter.subject))
}

/// Whole lines together, in pieces of at most so many bytes; what is beyond so many pieces is
/// cut off.
fn pieces(text: &str, bytes: usize, most: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = text::cut(line, bytes);
        match pieces.last_mut() {
            Some(piece) if piece.len() + line.len() < bytes => {
                piece.push('\n');
                piece.push_str(&line);
            }
            _ => pieces.push(line),
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    if pieces.len() > most {
        pieces.truncate(most);
        pieces.push("…".to_owned());
    }
    pieces
}

/// Percent-encoded (RFC 3986, section 2.1).
fn percent(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests::letter_of;

    fn written(form: WebhookForm, title: &str) -> String {
        String::from_utf8(body(form, &letter_of(title, "details")).1).unwrap()
    }

    fn value(form: WebhookForm, title: &str) -> Value {
        serde_json::from_str(&written(form, title)).unwrap()
    }

    #[test]
    fn slack_gets_no_mention_and_no_link() {
        let value = value(WebhookForm::Slack, "<!channel> & <https://evil.example|x>");
        let text = value["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;https"), "{text}");
        let blocks = value["blocks"].as_array().unwrap();
        assert!(blocks.iter().all(|block| block["text"]["type"] == "plain_text"));
        assert!(blocks[1]["text"]["text"].as_str().unwrap().contains("<!channel>"));
    }

    #[test]
    fn teams_gets_runs_that_know_no_marks() {
        let value = value(WebhookForm::Teams, "[x](https://evil.example) **b**");
        let card = &value["attachments"][0]["content"];
        let body = card["body"].as_array().unwrap();
        assert!(body.iter().all(|block| block["type"] == "RichTextBlock"));
        let title = body[0]["inlines"][0]["text"].as_str().unwrap();
        assert!(title.contains("[x](https://evil.example) **b**"), "{title}");
    }

    #[test]
    fn teams_gets_no_more_than_it_takes_however_much_is_escaped() {
        let details = format!("{}\n", "\"\\".repeat(400)).repeat(60);
        let letter = Letter { text: details, ..letter_of("title", "") };
        let (_, body) = body(WebhookForm::Teams, &letter);
        assert!((20_000..28 << 10).contains(&body.len()), "{}", body.len());
    }

    #[test]
    fn what_may_be_secret_is_not_repeated() {
        let secrets = secret_parts("/services/T0/abcdefgh?key=longer-value&n=1");
        assert_eq!(secrets, ["services", "abcdefgh", "longer-value"]);
        let words = "no /services/T0/abcdefgh?key=longer-value";
        assert_eq!(without(words, secrets), "no /…/T0/…?key=…");
    }

    #[test]
    fn nothing_leaves_the_block_of_code_in_mattermost() {
        let value = value(WebhookForm::Mattermost, "``` @channel [x](y)");
        let text = value["text"].as_str().unwrap();
        assert_eq!(text.matches('`').count(), 6, "{text}");
        assert!(text.starts_with("```text\n") && text.ends_with("\n```"), "{text}");
    }

    #[test]
    fn chatwork_obeys_our_brackets_only() {
        let text = chatwork(&letter_of("[To:1][/info]", "d"));
        assert_eq!(text.matches('[').count(), 4, "{text}");
        assert!(text.contains("［To:1］［/info］"));
        assert!(written(WebhookForm::Chatwork, "a&b=c").contains("a%26b%3Dc"));
    }

    #[test]
    fn line_works_gets_title_and_text_within_its_bounds() {
        let value = value(WebhookForm::LineWorks, &"長".repeat(300));
        assert!(value["title"].as_str().unwrap().len() <= 100);
        assert!(value["body"]["text"].as_str().unwrap().len() <= 2_000);
    }

    #[test]
    fn our_own_json_has_everything() {
        let value = value(WebhookForm::Json, "a\u{202e}b");
        assert_eq!(value["items"][0]["title"], "a\u{fffd}b");
        assert_eq!(value["id"], "00000000000000000000000000000001");
        assert!(value["subject"].is_string() && value["text"].is_string());
    }

    #[test]
    fn a_long_text_goes_in_pieces_and_ends() {
        let long = "受付プリンター\n".repeat(5_000);
        let made = pieces(&long, 2_800, 10);
        assert_eq!(made.len(), 11);
        assert!(made.iter().all(|piece| piece.len() <= 2_800));
    }
}
