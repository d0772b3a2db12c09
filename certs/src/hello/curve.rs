//! Diffie-Hellman over P-521 and Curve448, which the crypto provider lacks and some servers
//! insist on.
//!
//! The arithmetic is that of plain big numbers, so it takes a time that depends on the secret.
//! Here that gives nothing away: a key lives for one connection, and what it opens is a
//! certificate that the server shows to everybody. It is for nothing else.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers without limit, and each subtraction is from more than the prime"
)]

use num_bigint::BigUint;

/// Bytes of a coordinate of P-521.
const P521_LEN: usize = 66;

/// Bytes of a number of Curve448, scalar or coordinate.
const X448_LEN: usize = 56;

/// Random bytes for a key of P-521: below its order without a comparison.
pub(crate) const P521_ENTROPY: usize = 65;

/// Random bytes for a key of Curve448.
pub(crate) const X448_ENTROPY: usize = X448_LEN;

/// A prime field whose prime is little less than a power of two.
struct Field {
    prime: BigUint,
    /// The exponent of that power.
    bits: u64,
    /// All bits below it.
    low: BigUint,
    /// How much the prime is less.
    less: BigUint,
}

impl Field {
    fn new(bits: u64, less: BigUint) -> Self {
        let power = BigUint::from(1u32) << bits;
        Self { prime: &power - &less, bits, low: power - 1u32, less }
    }

    /// The power of two is as much as what the prime is less, so the upper bits fold down.
    fn reduce(&self, mut number: BigUint) -> BigUint {
        while number.bits() > self.bits {
            number = (&number & &self.low) + (number >> self.bits) * &self.less;
        }
        if number >= self.prime { number - &self.prime } else { number }
    }

    fn add(&self, a: &BigUint, b: &BigUint) -> BigUint {
        self.reduce(a + b)
    }

    fn sub(&self, a: &BigUint, b: &BigUint) -> BigUint {
        self.reduce(a + &self.prime - b)
    }

    fn mul(&self, a: &BigUint, b: &BigUint) -> BigUint {
        self.reduce(a * b)
    }

    fn square(&self, a: &BigUint) -> BigUint {
        self.mul(a, a)
    }

    fn times(&self, factor: u32, a: &BigUint) -> BigUint {
        self.reduce(a * factor)
    }

    /// The inverse by Fermat; of zero it is zero.
    fn invert(&self, a: &BigUint) -> BigUint {
        let exponent = &self.prime - 2u32;
        let bits = (0..exponent.bits()).rev();
        bits.fold(BigUint::from(1u32), |power, bit| {
            let square = self.square(&power);
            if exponent.bit(bit) { self.mul(&square, a) } else { square }
        })
    }
}

fn number(hexadecimal: &str) -> BigUint {
    BigUint::parse_bytes(hexadecimal.as_bytes(), 16).unwrap_or_default()
}

fn big_endian(number: &BigUint, len: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; len.saturating_sub(bytes.len())], bytes].concat()
}

fn little_endian(number: &BigUint, len: usize) -> Vec<u8> {
    let mut bytes = number.to_bytes_le();
    bytes.resize(len, 0);
    bytes
}

/// P-521 (FIPS 186-4, section D.1.2.5): y² = x³ - 3x + b.
struct P521 {
    field: Field,
    b: BigUint,
}

impl P521 {
    fn new() -> Self {
        let b = number(
            "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e93\
             7b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
        );
        Self { field: Field::new(521, BigUint::from(1u32)), b }
    }

    fn generator() -> (BigUint, BigUint) {
        let x = number(
            "c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe759\
             28fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
        );
        let y = number(
            "11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42\
             640c550b9013fad0761353c7086a272c24088be94769fd16650",
        );
        (x, y)
    }

    fn contains(&self, (x, y): &(BigUint, BigUint)) -> bool {
        let f = &self.field;
        let cube = f.mul(&f.square(x), x);
        let right = f.add(&f.sub(&cube, &f.times(3, x)), &self.b);
        *x < f.prime && *y < f.prime && f.square(y) == right
    }

    /// `scalar` times a point, in Jacobian coordinates (the formulas `dbl-2001-b` and
    /// `madd-2007-bl` of the Explicit-Formulas Database). `None` for the point at infinity.
    fn multiply(
        &self,
        scalar: &BigUint,
        (px, py): &(BigUint, BigUint),
    ) -> Option<(BigUint, BigUint)> {
        let f = &self.field;
        let (mut x, mut y, mut z) = (px.clone(), py.clone(), BigUint::from(1u32));
        for bit in (0..scalar.bits().checked_sub(1)?).rev() {
            let (delta, gamma) = (f.square(&z), f.square(&y));
            let beta = f.mul(&x, &gamma);
            let alpha = f.times(3, &f.mul(&f.sub(&x, &delta), &f.add(&x, &delta)));
            x = f.sub(&f.square(&alpha), &f.times(8, &beta));
            z = f.sub(&f.sub(&f.square(&f.add(&y, &z)), &gamma), &delta);
            let rest = f.mul(&alpha, &f.sub(&f.times(4, &beta), &x));
            y = f.sub(&rest, &f.times(8, &f.square(&gamma)));
            if scalar.bit(bit) {
                let zz = f.square(&z);
                let h = f.sub(&f.mul(px, &zz), &x);
                let r = f.times(2, &f.sub(&f.mul(&f.mul(py, &z), &zz), &y));
                let hh = f.square(&h);
                let i = f.times(4, &hh);
                let (j, v) = (f.mul(&h, &i), f.mul(&x, &i));
                z = f.sub(&f.sub(&f.square(&f.add(&z, &h)), &zz), &hh);
                x = f.sub(&f.sub(&f.square(&r), &j), &f.times(2, &v));
                let rest = f.mul(&r, &f.sub(&v, &x));
                y = f.sub(&rest, &f.times(2, &f.mul(&y, &j)));
            }
        }
        let inverse = f.invert(&z);
        let square = f.square(&inverse);
        let point = (f.mul(&x, &square), f.mul(&f.mul(&y, &square), &inverse));
        (inverse != BigUint::ZERO).then_some(point)
    }
}

/// The public key of a secret one, as an uncompressed point (RFC 8446, section 4.2.8.2).
pub(crate) fn p521_public(secret: &[u8; P521_ENTROPY]) -> Option<Vec<u8>> {
    let scalar = BigUint::from_bytes_be(secret);
    let (x, y) = P521::new().multiply(&scalar, &P521::generator())?;
    Some([vec![4], big_endian(&x, P521_LEN), big_endian(&y, P521_LEN)].concat())
}

/// The secret that is shared with the owner of `theirs`, an uncompressed point. `None` if it
/// is not on the curve.
pub(crate) fn p521_agree(secret: &[u8; P521_ENTROPY], theirs: &[u8]) -> Option<Vec<u8>> {
    let (4, point) = (*theirs.first()?, theirs.get(1..)?) else { return None };
    let (x, y) = point.split_at_checked(P521_LEN).filter(|(_, y)| y.len() == P521_LEN)?;
    let point = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
    let curve = P521::new();
    if !curve.contains(&point) {
        return None;
    }
    let (x, _) = curve.multiply(&BigUint::from_bytes_be(secret), &point)?;
    Some(big_endian(&x, P521_LEN))
}

/// X448 (RFC 7748, section 5).
fn x448(secret: &[u8; X448_ENTROPY], u: &[u8; X448_LEN]) -> Vec<u8> {
    let one = BigUint::from(1u32);
    let f = Field::new(448, (&one << 224u32) + 1u32);
    let mut scalar = *secret;
    let [first, .., last] = &mut scalar;
    *first &= 252;
    *last |= 128;
    let scalar = BigUint::from_bytes_le(&scalar);
    let x1 = f.reduce(BigUint::from_bytes_le(u));
    let (mut x2, mut z2) = (one.clone(), BigUint::ZERO);
    let (mut x3, mut z3) = (x1.clone(), one);
    for bit in (0..448u64).rev() {
        let swap = scalar.bit(bit);
        if swap {
            std::mem::swap(&mut x2, &mut x3);
            std::mem::swap(&mut z2, &mut z3);
        }
        let (a, b) = (f.add(&x2, &z2), f.sub(&x2, &z2));
        let (aa, bb) = (f.square(&a), f.square(&b));
        let e = f.sub(&aa, &bb);
        let da = f.mul(&f.sub(&x3, &z3), &a);
        let cb = f.mul(&f.add(&x3, &z3), &b);
        x3 = f.square(&f.add(&da, &cb));
        z3 = f.mul(&x1, &f.square(&f.sub(&da, &cb)));
        x2 = f.mul(&aa, &bb);
        z2 = f.mul(&e, &f.add(&aa, &f.times(39_081, &e)));
        if swap {
            std::mem::swap(&mut x2, &mut x3);
            std::mem::swap(&mut z2, &mut z3);
        }
    }
    little_endian(&f.mul(&x2, &f.invert(&z2)), X448_LEN)
}

/// The public key of a secret one.
pub(crate) fn x448_public(secret: &[u8; X448_ENTROPY]) -> Vec<u8> {
    let mut base = [0; X448_LEN];
    if let Some(first) = base.first_mut() {
        *first = 5;
    }
    x448(secret, &base)
}

/// The secret that is shared with the owner of `theirs`. `None` if that is no key, or one of
/// the few that make every secret zero.
pub(crate) fn x448_agree(secret: &[u8; X448_ENTROPY], theirs: &[u8]) -> Option<Vec<u8>> {
    let shared = x448(secret, theirs.try_into().ok()?);
    shared.iter().any(|octet| *octet != 0).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
        let digits: Vec<u8> = hexadecimal.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn x448_agrees_with_openssl() {
        let ours = bytes(
            "200a147058c73769c32924a6d44c54d8fac506f0a66ebc3505cef8a7
             729aa22700982a81367b09b60029cf9de663a9707533648b985670dc",
        );
        let public: [u8; X448_LEN] = bytes(
            "1f8da8de3670771705d48cc8b58d91961afd76d586b7e08f1623a674
             9328bfc87cd3647551cab1d293937f7718072f453d5347e5be3fef9b",
        );
        let theirs: [u8; X448_LEN] = bytes(
            "41a5695436753b764fa0596d6f6bde4bb77e03bb7e0e19b2b303f2c4
             f3ff7fa2e2cd91b3a406ba5efe214830358b5bc1664b0f901b579e22",
        );
        let shared: [u8; X448_LEN] = bytes(
            "55edd1985c2716610a034242ff166e1a61cac90927483fbd84f613b5
             1b089176abb123fcd43dcef6879673171e96bb76f77d7f08e23144de",
        );
        assert_eq!(x448_public(&ours), public);
        assert_eq!(x448_agree(&ours, &theirs), Some(shared.to_vec()));
    }

    #[test]
    fn the_generator_is_on_its_curve_and_has_the_order_of_the_curve() {
        let curve = P521::new();
        assert!(curve.contains(&P521::generator()));
        let order = number(
            "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f96\
             6b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        );
        let (x, y) = curve.multiply(&(&order - 1u32), &P521::generator()).unwrap();
        // (n - 1) G is -G.
        assert_eq!((x, &curve.field.prime - y), P521::generator());
    }

    #[test]
    fn both_sides_agree() {
        let (a, b) = ([0x5a; P521_ENTROPY], [0xa7; P521_ENTROPY]);
        let (of_a, of_b) = (p521_public(&a).unwrap(), p521_public(&b).unwrap());
        assert_eq!(p521_agree(&a, &of_b), p521_agree(&b, &of_a));
        assert!(p521_agree(&a, &of_b).is_some());
        let (a, b) = ([0x5a; X448_ENTROPY], [0xa7; X448_ENTROPY]);
        assert_eq!(x448_agree(&a, &x448_public(&b)), x448_agree(&b, &x448_public(&a)));
    }

    #[test]
    fn what_is_no_key_of_the_curve_is_refused() {
        let secret = [7; P521_ENTROPY];
        let mut point = p521_public(&secret).unwrap();
        assert_eq!(p521_agree(&secret, &point[..132]), None);
        assert_eq!(p521_agree(&secret, &[]), None);
        point[70] ^= 1;
        assert_eq!(p521_agree(&secret, &point), None);
        assert_eq!(x448_agree(&[7; X448_ENTROPY], &[0; X448_LEN]), None);
        assert_eq!(x448_agree(&[7; X448_ENTROPY], &[9; 55]), None);
    }
}
