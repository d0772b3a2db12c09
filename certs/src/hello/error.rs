use model::TlsVersion;
use thiserror::Error;
use wire::Malformed;

/// Why no chain came.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum HelloError {
    /// The first bytes are not those of a TLS record.
    #[error("it does not speak TLS")]
    NotTls,
    /// The server closed, or let its time pass, without a byte.
    #[error("it said nothing")]
    Silent,
    /// The server closed, or let its time pass, before its certificate was complete.
    #[error("it stopped before its certificate")]
    Cut,
    /// The server refused with this alert (RFC 8446, section 6).
    #[error("it refused with alert {0} ({name})", name = alert_name(*.0))]
    Alert(u8),
    /// The server refused in SSL 2.0 with this error.
    #[error("it refused in SSL 2.0 with error {0}")]
    Ssl2(u16),
    /// The server refused in QUIC with this error (RFC 9000, section 20.1), which is none of TLS.
    #[error("it refused in QUIC with error {0:#x} ({name})", name = quic_error_name(*.0))]
    Quic(u64),
    /// The server has neither of the versions of QUIC that we have.
    #[error("it has no version of QUIC that we have")]
    QuicVersion,
    /// A message breaks the protocol.
    #[error("its answer is malformed")]
    Malformed(#[from] Malformed),
    /// A message has no place where it came.
    #[error("it sent message {0}, which has no place there")]
    Unexpected(u8),
    /// The server chose a version that was not offered.
    #[error("it chose {0}, which was not offered")]
    Version(TlsVersion),
    /// The server chose a cipher suite that was not offered.
    #[error("it chose cipher suite {0:#06x}, which was not offered")]
    Suite(u16),
    /// The server wants a key-exchange group that we do not have.
    #[error("it wants the key-exchange group {0:#06x}, which we do not have")]
    Group(u16),
    /// The server's key share is none.
    #[error("its key share is not one")]
    KeyShare,
    /// An encrypted record does not open.
    #[error("its encrypted answer cannot be opened")]
    Undecipherable,
    /// The handshake went past the certificate without one.
    #[error("it has no certificate")]
    NoCertificate,
    /// More bytes than anyone needs to present a chain.
    #[error("its answer is too large")]
    TooLarge,
    /// The system gave no randomness for our keys.
    #[error("no randomness for ephemeral keys")]
    NoRandomness,
}

impl HelloError {
    /// Whether it is how servers fail that cannot bear what a newer hello holds: they refuse,
    /// hang up or garble, where they should pass over what they do not know. An older hello
    /// is worth a try then.
    #[must_use]
    pub const fn suggests_intolerance(&self) -> bool {
        match self {
            Self::Silent
            | Self::Cut
            | Self::Malformed(_)
            | Self::Unexpected(_)
            | Self::Version(_)
            | Self::Suite(_) => true,
            // unexpected_message, record_overflow, handshake_failure, illegal_parameter,
            // decode_error, protocol_version, internal_error, unsupported_extension.
            Self::Alert(alert) => matches!(alert, 10 | 22 | 40 | 47 | 50 | 70 | 80 | 110),
            Self::NotTls
            | Self::Ssl2(_)
            | Self::Quic(_)
            | Self::QuicVersion
            | Self::Group(_)
            | Self::KeyShare
            | Self::Undecipherable
            | Self::NoCertificate
            | Self::TooLarge
            | Self::NoRandomness => false,
        }
    }
}

/// The name of an alert in the IANA registry.
fn alert_name(alert: u8) -> &'static str {
    match alert {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown",
    }
}

/// The name of an error in the IANA registry of QUIC.
const fn quic_error_name(code: u64) -> &'static str {
    match code {
        0x00 => "NO_ERROR",
        0x01 => "INTERNAL_ERROR",
        0x02 => "CONNECTION_REFUSED",
        0x07 => "FRAME_ENCODING_ERROR",
        0x08 => "TRANSPORT_PARAMETER_ERROR",
        0x0a => "PROTOCOL_VIOLATION",
        0x0b => "INVALID_TOKEN",
        0x0c => "APPLICATION_ERROR",
        0x0d => "CRYPTO_BUFFER_EXCEEDED",
        0x10 => "NO_VIABLE_PATH",
        0x11 => "VERSION_NEGOTIATION_ERROR",
        _ => "unknown",
    }
}
