//! Responses of HTTP/1 (RFC 9112), and of RTSP (RFC 2326), which took its form over.
//!
//! Turns bytes into status, header fields and body, chunks joined. Lax where real servers
//! are: bare LF, a missing reason phrase, and bodies that end where the connection does.
//! It also finds a page's title. It knows no product and keeps no body for anybody.

use encoding_rs::Encoding;

use crate::{Malformed, Problem, Reader, lines};

/// Header fields that are read at most. More are the server's joke, not information.
const MAX_FIELDS: usize = 200;

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// `HTTP` or `RTSP`.
    pub protocol: &'static str,
    /// Major and minor version.
    pub version: (u8, u8),
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Names in lower case and printable values, in order.
    pub fields: Vec<(String, String)>,
    /// The body as far as it has come, without its transfer coding.
    pub body: Vec<u8>,
    /// Where the body ends.
    pub end: End,
    /// Why the body cannot be read on, where its transfer coding is broken.
    pub broken: Option<Malformed>,
}

/// Whether the body has come whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It has.
    Complete,
    /// Its length says that more will come.
    More,
    /// It goes on until the server closes.
    AtClose,
}

impl Response {
    /// The value of the first field of that name, which must be in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether another question may follow on the same connection (RFC 9112, section 9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let connection = self.field("connection").unwrap_or("").to_ascii_lowercase();
        self.end == End::Complete
            && self.broken.is_none()
            && !connection.contains("close")
            && (self.version >= (1, 1) || connection.contains("keep-alive"))
    }
}

/// Whether these are, or may become, the first bytes of a response.
#[must_use]
pub fn looks_like_response(bytes: &[u8]) -> bool {
    [&b"HTTP/"[..], b"RTSP/"].iter().any(|start| {
        let len = start.len().min(bytes.len());
        len > 0 && bytes.get(..len) == start.get(..len)
    })
}

/// Reads a response. Fails with [`Problem::Truncated`] while its head is not whole.
pub fn response(bytes: &[u8]) -> Result<Response, Malformed> {
    let mut r = Reader::new(bytes);
    let line = r.until("status line", b"\n")?;
    let line = lines::text(line);
    let refuse = |r: &Reader<'_>| r.malformed("status line", Problem::Invalid(0));
    let (name, rest) = line.split_once('/').ok_or_else(|| refuse(&r))?;
    let protocol = match name {
        "HTTP" => "HTTP",
        "RTSP" => "RTSP",
        _ => return Err(refuse(&r)),
    };
    let (version, rest) = rest.split_once(' ').ok_or_else(|| refuse(&r))?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let version = match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (major, minor),
        _ => return Err(refuse(&r)),
    };
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status: u16 = status.parse().map_err(|_| refuse(&r))?;
    if !(100..=599).contains(&status) {
        return Err(r.malformed("status code", Problem::Invalid(status.into())));
    }
    let fields = fields(&mut r)?;
    let mut response = Response {
        protocol,
        version,
        status,
        reason: reason.to_owned(),
        fields,
        body: Vec::new(),
        end: End::Complete,
        broken: None,
    };
    read_body(&mut r, &mut response);
    Ok(response)
}

/// The fields of a head up to its empty line, their names in lower case.
pub(crate) fn fields(r: &mut Reader<'_>) -> Result<Vec<(String, String)>, Malformed> {
    let mut fields = Vec::new();
    loop {
        let line = r.until("header field", b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(fields);
        }
        // Without a colon it is no field; servers send such lines, and mean nothing by them.
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        if fields.len() < MAX_FIELDS {
            let value = lines::text(value.get(1..).unwrap_or(&[]));
            let mut name = lines::text(name);
            name.make_ascii_lowercase();
            fields.push((name, value));
        }
    }
}

/// The values of the first fields of these names, which are in lower case: of a head up to its
/// empty line, as [`fields`] reads it, and without making text of what nobody wants.
pub(crate) fn values<'a, const N: usize>(
    r: &mut Reader<'a>,
    names: [&str; N],
) -> Result<[Option<&'a [u8]>; N], Malformed> {
    let mut values = [None; N];
    let mut count = 0;
    loop {
        let line = r.until("header field", b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(values);
        }
        let Some((name, [_, value @ ..])) =
            memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
        else {
            continue;
        };
        if count >= MAX_FIELDS {
            continue;
        }
        count = count.saturating_add(1);
        let name = name.trim_ascii();
        // What is not fit to be shown has to be made so first.
        let odd = name.iter().any(|byte| !matches!(byte, b'!'..=b'~'));
        let shown = odd.then(|| lines::text(name));
        let name = shown.as_deref().map_or(name, str::as_bytes);
        for (known, place) in names.iter().zip(&mut values) {
            if place.is_none() && name.eq_ignore_ascii_case(known.as_bytes()) {
                *place = Some(value);
            }
        }
    }
}

fn read_body(r: &mut Reader<'_>, response: &mut Response) {
    if matches!(response.status, 100..=199 | 204 | 304) {
        return;
    }
    let chunked = response
        .field("transfer-encoding")
        .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"));
    if chunked {
        match chunks(r, &mut response.body) {
            Ok(()) => {}
            Err(error) if error.problem == Problem::Truncated => response.end = End::More,
            Err(error) => response.broken = Some(error),
        }
        return;
    }
    let length = response.field("content-length").and_then(|value| value.parse::<u64>().ok());
    match length {
        Some(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            response.body = r.take_up_to(length).to_vec();
            if response.body.len() < length {
                response.end = End::More;
            }
        }
        // RTSP has no body without a length (RFC 2326, section 4.4).
        None if response.protocol == "RTSP" => {}
        None => {
            response.body = r.take_up_to(usize::MAX).to_vec();
            response.end = End::AtClose;
        }
    }
}

/// Joins chunks (RFC 9112, section 7.1), the cut last one included.
fn chunks(r: &mut Reader<'_>, body: &mut Vec<u8>) -> Result<(), Malformed> {
    loop {
        let line = lines::text(r.until("chunk size", b"\n")?);
        let digits = line.split(';').next().unwrap_or("").trim();
        let Ok(size) = usize::from_str_radix(digits, 16) else {
            return Err(r.malformed("chunk size", Problem::Invalid(0)));
        };
        if size == 0 {
            // Trailer fields and the empty line.
            while !matches!(r.until("trailer", b"\n")?, b"" | b"\r") {}
            return Ok(());
        }
        body.extend(r.take_up_to(size));
        if r.is_at_end() {
            return Err(r.malformed("chunk data", Problem::Truncated));
        }
        r.until("chunk end", b"\n")?;
    }
}

/// The text of the first title element, decoded by the charset that the header field
/// `content_type` or the page itself declares (UTF-8 where neither does), with the common
/// character references resolved. `None` where there is none, it is empty, or its end has
/// not come.
#[must_use]
pub fn title(page: &[u8], content_type: Option<&str>) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let open = find(&lower, b"<title")?;
    let start = open.checked_add(find(lower.get(open..)?, b">")?)?.checked_add(1)?;
    let len = find(lower.get(start..)?, b"</title")?;
    let raw = page.get(start..start.checked_add(len)?)?;
    let declared = content_type.and_then(charset).or_else(|| {
        let head = lower.get(..lower.len().min(4_096))?;
        charset(&String::from_utf8_lossy(head))
    });
    let encoding = declared
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .unwrap_or(encoding_rs::UTF_8);
    let (decoded, _, _) = encoding.decode(raw);
    let title = lines::squeeze(&unescape(&decoded));
    (!title.is_empty()).then_some(title)
}

/// Where a title's end has come, or the place where one may stand is over.
#[must_use]
pub fn is_past_title(page: &[u8]) -> bool {
    let lower = page.to_ascii_lowercase();
    find(&lower, b"</title").is_some() || find(&lower, b"<body").is_some()
}

fn charset(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (_, rest) = text.split_once("charset=")?;
    let label = rest
        .trim_start_matches(['"', '\'', ' '])
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')))
        .next()?;
    (!label.is_empty()).then(|| label.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Resolves numeric character references and the named ones that titles use.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        rest = after;
        let resolved = after.split_once(';').and_then(|(name, after)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => ' ',
                "copy" => '©',
                "reg" => '®',
                "trade" => '™',
                "ndash" => '–',
                "mdash" => '—',
                "middot" => '·',
                "raquo" => '»',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, after))
        });
        match resolved {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], status: u16, server: Option<&str>, body: &[u8], end: End) {
        let got = response(bytes).unwrap();
        assert_eq!((got.status, got.field("server")), (status, server));
        assert_eq!((got.body.as_slice(), got.end), (body, end));
    }

    #[test]
    fn bodies_end_where_their_head_says() {
        check(
            b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 3\r\n\r\nabcd",
            200,
            Some("nginx/1.22.1"),
            b"abc",
            End::Complete,
        );
        check(b"HTTP/1.0 200\nContent-Length: 9\n\nabc", 200, None, b"abc", End::More);
        check(b"HTTP/1.1 404 Not Found\r\n\r\nabc", 404, None, b"abc", End::AtClose);
        check(b"HTTP/1.1 304 x\r\nserver:  a  b \r\n\r\n", 304, Some("a b"), b"", End::Complete);
        check(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", 200, None, b"", End::Complete);
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n";
        check(chunked, 200, None, b"abcde", End::More);
        let whole = [&chunked[..], b"0\r\nTrailer: 1\r\n\r\n"].concat();
        check(&whole, 200, None, b"abcde", End::Complete);
    }

    #[test]
    fn every_cut_of_the_head_is_truncated() {
        let bytes = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nhi";
        let head = bytes.len() - 2;
        for len in 0..head {
            let error = response(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "{len}");
        }
        assert_eq!(response(&bytes[..head]).unwrap().end, End::More);
        assert!(response(bytes).unwrap().keeps_alive());
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for bytes in [
            &b"ICY 200 OK\n\n"[..],
            b"HTTP/1.1 abc\n\n",
            b"HTTP/1.1 999 x\n\n",
            b"HTTP/a.b 200\n\n",
        ] {
            assert_ne!(response(bytes).unwrap_err().problem, Problem::Truncated);
        }
        let broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc";
        assert!(response(broken).unwrap().broken.is_some());
        assert!(
            looks_like_response(b"HT") && !looks_like_response(b"") && !looks_like_response(b"SSH")
        );
    }

    #[track_caller]
    fn check_title(page: &[u8], content_type: Option<&str>, expected: Option<&str>) {
        assert_eq!(title(page, content_type).as_deref(), expected);
    }

    #[test]
    fn titles_are_decoded() {
        check_title(b"<TITLE lang=en>\n a &amp; b\n</TITLE>", None, Some("a & b"));
        check_title(b"<title>&#x30EB;&#12540; &bogus; &</title>", None, Some("ルー &bogus; &"));
        check_title(
            b"<title>\x83\x8b\x81[\x83^\x81[</title>",
            Some("text/html; charset=Shift_JIS"),
            Some("ルーター"),
        );
        check_title(
            b"<meta http-equiv=content-type content=\"text/html; charset=EUC-JP\"><title>\xa5\xeb</title>",
            Some("text/html"),
            Some("ル"),
        );
        check_title(b"<title>cut", None, None);
        check_title(b"<title> </title>", None, None);
        check_title(b"no title", None, None);
    }

    proptest! {
        #[test]
        fn wanted_values_are_those_of_all_fields(
            head in "([nN][tT]?[ \\x01é]?[:]?[a:é\\x02 ]{0,3}(\r\n|\n)){0,6}\r?\n?",
        ) {
            let all = fields(&mut Reader::new(head.as_bytes()));
            let wanted = values(&mut Reader::new(head.as_bytes()), ["nt", "n"]);
            prop_assert_eq!(all.is_ok(), wanted.is_ok());
            if let (Ok(all), Ok(wanted)) = (all, wanted) {
                for (name, value) in ["nt", "n"].into_iter().zip(wanted) {
                    let found = all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
                    prop_assert_eq!(value.map(lines::text), found, "{}", name);
                }
            }
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), status: u16) {
            let _ = response(&bytes);
            let _ = title(&bytes, None);
            let mut head = format!("HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            head.extend(&bytes);
            let _ = response(&head);
            let _ = title(&[b"<title>", &bytes[..], b"</title>"].concat(), None);
        }
    }
}
