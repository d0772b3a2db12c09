//! VNC: the security type VeNCrypt, version 0.2, and of its sub-types those that come with a
//! certificate. It is TLS before any of them asks who we are.

use wire::{Malformed, Reader};

use super::{NOT_OFFERED, OTHERWISE, Step, refused, say, unread};

/// Since this version the server lets the client choose (RFC 6143, section 7.1.1).
const VERSION: &[u8; 12] = b"RFB 003.008\n";

const VENCRYPT: u8 = 19;

/// Sub-types inside TLS with a certificate, by what they ask for there: a password, a name and
/// a password, nothing, SASL.
const WITH_CERTIFICATE: [u32; 4] = [261, 262, 260, 264];

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    let Some(last) = heard.last() else { return OTHERWISE };
    let mut r = Reader::new(last);
    let step = match heard.len() {
        1 => version(last),
        2 => types(&mut r),
        3 => vencrypt_version(&mut r),
        4 => sub_types(&mut r),
        5 => r.u8("accepted").map(|accepted| match accepted {
            1 => Step::Ready(r.offset()),
            _ => refused(b"VeNCrypt"),
        }),
        _ => Ok(OTHERWISE),
    };
    step.unwrap_or_else(|why| unread(&why))
}

fn version(heard: &[u8]) -> Result<Step, Malformed> {
    let begun = heard.iter().zip(b"RFB ").all(|(byte, wanted)| byte == wanted);
    let (Some(text), true) = (heard.get(..VERSION.len()), begun) else {
        return Ok(if begun { Step::Listen } else { OTHERWISE });
    };
    Ok(match text < &b"RFB 003.007"[..] {
        // The server chooses, and has nothing of this to choose.
        true => NOT_OFFERED,
        false => say(VERSION),
    })
}

fn types(r: &mut Reader<'_>) -> Result<Step, Malformed> {
    let count = r.u8("number-of-security-types")?;
    if count == 0 {
        let length = r.u32("reason-length")?;
        let reason = r.take("reason-string", usize::try_from(length).unwrap_or(usize::MAX))?;
        return Ok(refused(reason));
    }
    let types = r.take("security-types", count.into())?;
    Ok(if types.contains(&VENCRYPT) { say(&[VENCRYPT]) } else { NOT_OFFERED })
}

fn vencrypt_version(r: &mut Reader<'_>) -> Result<Step, Malformed> {
    let [major, minor] = r.array("VeNCrypt version")?;
    Ok(if (major, minor) < (0, 2) { NOT_OFFERED } else { say(&[0, 2]) })
}

fn sub_types(r: &mut Reader<'_>) -> Result<Step, Malformed> {
    if r.u8("VeNCrypt acknowledgement")? != 0 {
        return Ok(NOT_OFFERED);
    }
    let mut offered = Vec::new();
    for _ in 0..r.u8("number of sub-types")? {
        offered.push(r.u32("sub-type")?);
    }
    let chosen = WITH_CERTIFICATE.iter().find(|wanted| offered.contains(wanted));
    Ok(chosen.map_or(NOT_OFFERED, |chosen| say(&chosen.to_be_bytes())))
}
