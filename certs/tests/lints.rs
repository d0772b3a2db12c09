//! Our rules against the verdicts that zlint's own test certificates carry in the corpus, for
//! each rule that exists in both. The corpus is not part of this repository: the test reads it
//! where the variable DAICHO_CORPUS points, and says so where it does not.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::allow_attributes,
    reason = "a test prints its count and may fail loudly"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use certs::{Certificate, Context, Thresholds, Trust, Verdict, certificates_in, parse, rules};

/// A lint's name, the rule that asks the same, and a word of the rule's detail where the rule
/// asks more than the lint.
const SAME: &[(&str, &str, &str)] = &[
    ("e_validity_time_not_positive", "cert.validity-reversed", ""),
    ("e_wrong_time_format_pre2050", "cert.time-type", ""),
    ("e_utc_time_does_not_include_seconds", "cert.time-form", ""),
    ("e_utc_time_not_in_zulu", "cert.time-form", ""),
    ("e_generalized_time_not_in_zulu", "cert.time-form", ""),
    ("e_generalized_time_includes_fraction_seconds", "cert.time-form", ""),
    ("e_generalized_time_does_not_include_seconds", "cert.time-form", ""),
    ("e_sub_cert_valid_time_longer_than_825_days", "cert.lifetime-825-days", ""),
    ("e_tls_server_cert_valid_time_longer_than_398_days", "cert.lifetime-398-days", ""),
    ("e_server_cert_valid_time_longer_than_200_days", "cert.lifetime-200-days", ""),
    ("e_server_cert_valid_time_longer_than_100_days", "cert.lifetime-100-days", ""),
    ("e_server_cert_valid_time_longer_than_47_days", "cert.lifetime-47-days", ""),
    ("e_mp_modulus_must_be_2048_bits_or_more", "cert.weak-key", ""),
    ("e_dsa_shorter_than_2048_bits", "cert.weak-key", "short"),
    ("e_prohibit_dsa_usage", "cert.weak-key", ""),
    ("e_br_prohibit_dsa_usage", "cert.weak-key", ""),
    ("e_old_root_ca_rsa_mod_less_than_2048_bits", "cert.weak-key", ""),
    ("e_rsa_public_exponent_too_small", "cert.rsa-exponent", ""),
    ("e_rsa_public_exponent_not_odd", "cert.rsa-exponent", ""),
    ("e_mp_exponent_cannot_be_one", "cert.rsa-exponent", ""),
    ("e_rsa_exp_negative", "cert.rsa-exponent", ""),
    ("w_rsa_public_exponent_not_in_range", "cert.rsa-exponent-range", ""),
    ("w_rsa_mod_not_odd", "cert.rsa-small-factor", "by 2"),
    ("w_rsa_mod_factors_smaller_than_752", "cert.rsa-small-factor", ""),
    ("e_mp_modulus_must_be_divisible_by_8", "cert.rsa-modulus-size", ""),
    ("e_ec_improper_curves", "cert.public-curve", ""),
    ("e_spki_rsa_encryption_parameter_not_null", "cert.key-parameters", ""),
    ("e_sub_cert_or_sub_ca_using_sha1", "cert.weak-signature", ""),
    ("w_sub_cert_sha1_expiration_too_long", "cert.weak-signature", ""),
    ("e_cert_sig_alg_not_match_tbs_sig_alg", "cert.signature-mismatch", ""),
    ("e_tbs_signature_rsa_encryption_parameter_not_null", "cert.signature-parameters", ""),
    ("e_signature_algorithm_not_supported", "cert.public-signature", ""),
    ("e_invalid_certificate_version", "cert.old-version", ""),
    ("e_cert_extensions_version_not_3", "cert.version-extensions", ""),
    ("e_cert_contains_unique_identifier", "cert.unique-identifier", ""),
    ("e_cert_unique_identifier_version_not_2_or_3", "cert.unique-identifier", "version 1"),
    ("e_serial_number_not_positive", "cert.serial-not-positive", ""),
    ("e_ext_duplicate_extension", "cert.duplicate-extension", ""),
    ("e_ext_aia_marked_critical", "cert.extension-critical", "authorityInfoAccess"),
    ("e_sub_cert_aia_marked_critical", "cert.extension-critical", "authorityInfoAccess"),
    ("e_sub_ca_aia_marked_critical", "cert.extension-critical", "authorityInfoAccess"),
    ("e_subject_info_access_marked_critical", "cert.extension-critical", "subjectInfoAccess"),
    ("e_ext_authority_key_identifier_critical", "cert.extension-critical", "authorityKey"),
    ("e_ext_subject_key_identifier_critical", "cert.extension-critical", "subjectKey"),
    ("e_ext_subject_directory_attr_critical", "cert.extension-critical", "subjectDirectory"),
    ("e_ext_freshest_crl_marked_critical", "cert.extension-critical", "freshestCRL"),
    ("e_ext_name_constraints_not_critical", "cert.extension-not-critical", "nameConstraints"),
    ("e_ext_policy_constraints_not_critical", "cert.extension-not-critical", "policyConstraints"),
    ("e_inhibit_any_policy_not_critical", "cert.extension-not-critical", "inhibitAnyPolicy"),
    ("e_empty_sct_list", "cert.empty-timestamp-list", ""),
    ("e_precert_with_sct_list", "cert.precertificate", "signed timestamps"),
    ("e_ext_cannot_be_empty_sequence", "cert.extension-empty", ""),
    ("e_ext_san_no_entries", "cert.extension-empty", "subjectAltName"),
    ("e_ext_ian_no_entries", "cert.extension-empty", "issuerAltName"),
    ("e_ext_policy_constraints_empty", "cert.extension-empty", "policyConstraints"),
    ("e_name_constraint_empty", "cert.extension-empty", "nameConstraints"),
    ("e_ext_key_usage_without_bits", "cert.key-usage-empty", ""),
    ("e_ext_san_missing", "cert.no-alternative-names", ""),
    ("e_subject_empty_without_san", "cert.no-subject", ""),
    ("e_ext_san_not_critical_without_subject", "cert.names-not-critical", ""),
    ("e_ext_san_empty_name", "cert.name-empty", ""),
    ("e_san_dns_name_includes_null_char", "cert.name-nul", ""),
    ("e_dnsname_bad_character_in_label", "cert.name-characters", ""),
    ("e_ext_san_dns_not_ia5_string", "cert.name-characters", "ASCII"),
    ("e_ext_san_space_dns_name", "cert.name-characters", "space"),
    ("e_underscore_not_permissible_in_dnsname", "cert.name-underscore", ""),
    ("e_san_wildcard_not_first", "cert.name-wildcard", ""),
    ("e_san_bare_wildcard", "cert.name-wildcard", "every name"),
    ("e_dnsname_left_label_wildcard_correct", "cert.name-wildcard", ""),
    ("e_san_dns_name_starts_with_period", "cert.name-labels", "starts with"),
    ("e_ext_san_dns_name_too_long", "cert.name-length", "253"),
    ("e_rfc_dnsname_hyphen_in_sld", "cert.name-hyphen", ""),
    ("e_dnsname_hyphen_in_sld", "cert.name-hyphen", ""),
    ("e_dnsname_contains_prohibited_reserved_label", "cert.name-reserved-label", ""),
    ("e_ext_san_contains_reserved_ip", "cert.reserved-address", ""),
    ("e_subject_contains_reserved_ip", "cert.reserved-address", ""),
    ("e_ext_san_directory_name_present", "cert.name-kind", "directoryName"),
    ("e_ext_san_edi_party_name_present", "cert.name-kind", "ediPartyName"),
    ("e_ext_san_other_name_present", "cert.name-kind", "otherName"),
    ("e_ext_san_registered_id_present", "cert.name-kind", "registeredID"),
    ("e_ext_san_rfc822_name_present", "cert.name-kind", "rfc822Name"),
    ("e_ext_san_uniform_resource_identifier_present", "cert.name-kind", "uniformResource"),
    ("e_subject_common_name_not_from_san", "cert.common-name-not-among-names", ""),
    ("e_subject_common_name_not_exactly_from_san", "cert.common-name-not-among-names", ""),
    ("e_ext_san_uri_relative", "cert.uri-name", "scheme"),
    ("e_ext_san_uri_not_ia5", "cert.uri-name", "ASCII"),
    ("e_subject_dn_country_not_printable_string", "cert.country", "subject"),
    ("e_issuer_dn_country_not_printable_string", "cert.country", "issuer"),
    ("e_subj_country_not_uppercase", "cert.country", "capitals"),
    ("e_subject_dn_serial_number_max_length", "cert.subject-length", "serialNumber"),
    ("e_subject_email_max_length", "cert.subject-length", "emailAddress"),
    ("e_subject_given_name_max_length", "cert.subject-length", "givenName"),
    ("e_subject_locality_name_max_length", "cert.subject-length", "L "),
    ("e_subject_organizational_unit_name_max_length", "cert.subject-length", "OU "),
    ("e_subject_state_name_max_length", "cert.subject-length", "ST "),
    ("e_subject_street_address_max_length", "cert.subject-length", "STREET "),
    ("e_subject_surname_max_length", "cert.subject-length", "sn "),
    ("e_subject_dn_not_printable_characters", "cert.subject-control-characters", ""),
    ("e_subject_contains_noninformational_value", "cert.subject-placeholder", ""),
    ("e_organizational_unit_name_prohibited", "cert.organizational-unit", ""),
    ("e_ca_country_name_missing", "cert.authority-subject", "countryName"),
    ("e_ca_organization_name_missing", "cert.authority-subject", "organizationName"),
    ("e_ca_common_name_missing", "cert.authority-subject", "commonName"),
    ("e_ca_subject_field_empty", "cert.authority-no-subject", ""),
    ("e_basic_constraints_not_critical", "cert.authority-constraints-not-critical", ""),
    ("e_ca_key_usage_missing", "cert.authority-no-key-usage", ""),
    ("e_root_ca_key_usage_present", "cert.authority-no-key-usage", ""),
    ("e_ca_key_usage_not_critical", "cert.authority-key-usage-not-critical", ""),
    ("e_root_ca_key_usage_must_be_critical", "cert.authority-key-usage-not-critical", ""),
    ("e_ca_key_cert_sign_not_set", "cert.authority-may-not-sign", ""),
    ("e_ca_crl_sign_not_set", "cert.authority-may-not-revoke", ""),
    ("e_ext_subject_key_identifier_missing_ca", "cert.authority-no-key-id", ""),
    ("e_ext_authority_key_identifier_no_key_identifier", "cert.no-issuer-key-id", ""),
    ("e_ext_key_usage_cert_sign_without_ca", "cert.signs-without-being-authority", ""),
    ("e_sub_cert_not_is_ca", "cert.server-may-issue", ""),
    ("e_path_len_constraint_improperly_included", "cert.path-length", "may not issue"),
    ("e_path_len_constraint_zero_or_less", "cert.path-length", "negative"),
    ("e_ext_name_constraints_not_in_ca", "cert.name-constraints-on-leaf", ""),
    ("e_name_constraint_minimum_non_zero", "cert.name-constraints-range", "minimum"),
    ("e_name_constraint_maximum_not_absent", "cert.name-constraints-range", "maximum"),
    ("e_ext_policy_map_any_policy", "cert.maps-any-policy", ""),
    ("e_root_ca_extended_key_usage_present", "cert.root-purposes", ""),
    ("e_sub_cert_key_usage_cert_sign_bit_set", "cert.public-leaf-signs", "keyCertSign"),
    ("e_sub_cert_key_usage_crl_sign_bit_set", "cert.public-leaf-signs", "cRLSign"),
    ("e_sub_cert_eku_missing", "cert.public-no-purpose", ""),
    ("w_sub_cert_eku_extra_values", "cert.public-other-purposes", ""),
    ("e_client_auth_not_allowed", "cert.public-for-clients", ""),
    ("e_eku_critical", "cert.public-purposes-critical", ""),
    ("w_eku_critical_improperly", "cert.purpose-any-critical", ""),
    ("n_ecdsa_ee_invalid_ku", "cert.key-usage-unfit", ""),
    ("e_ecdsa_allowed_ku", "cert.key-usage-unfit", ""),
    ("e_edwardspublickey_key_usages", "cert.key-usage-unfit", ""),
    ("e_missing_crl_distrib_point", "cert.no-revocation-source", ""),
    ("e_crl_distrib_points_not_http", "cert.revocation-list-address", ""),
    ("e_distribution_point_incomplete", "cert.distribution-point-incomplete", ""),
    ("e_aia_ocsp_must_have_http_only", "cert.responder-address", ""),
    ("e_aia_ca_issuers_must_have_http_only", "cert.issuer-address", ""),
    ("e_aia_must_contain_permitted_access_method", "cert.access-method", ""),
    ("e_aia_unique_access_locations", "cert.access-twice", ""),
    ("e_sub_cert_certificate_policies_missing", "cert.public-no-policies", ""),
    ("e_ext_cert_policy_duplicate", "cert.policy-twice", ""),
];

/// Where we differ, each with its reason in `docs/decisions/0003-certificates.md`.
const EXPLAINED: &[(&str, &str)] = &[
    ("e_br_prohibit_dsa_usage", "dsaCorrectOrderInSubgroup.pem"),
    ("e_prohibit_dsa_usage", "dsaCorrectOrderInSubgroup.pem"),
    ("e_signature_algorithm_not_supported", "sha256WithRSAPSSSignatureAlgorithm.pem"),
    ("e_sub_cert_or_sub_ca_using_sha1", "rsawithsha1after2016.pem"),
    ("e_subject_common_name_not_exactly_from_san", "SANWithMissingCN.pem"),
];

/// The corpus, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let root = env::var_os("DAICHO_CORPUS");
    if root.is_none() {
        println!("DAICHO_CORPUS is not set: the rules were NOT compared with the corpus");
    }
    root.map(|root| {
        let root = PathBuf::from(root);
        // Tests run in their package's folder, the variable is written in the workspace's.
        let root = if root.is_absolute() { root } else { Path::new("..").join(root) };
        root.join("certificates/zlint")
    })
}

/// Whether the rule fails, with that word in its detail.
fn fails(rule: &str, word: &str, certificate: &Certificate) -> bool {
    let rule = rules::rule(rule).unwrap_or_else(|| panic!("no rule {rule}"));
    let context = Context {
        as_of: certificate.not_before.unwrap_or(model::Timestamp::from_seconds(0)),
        thresholds: Thresholds::default(),
        trust: Trust::Public,
    };
    match rule.judge(certificate, &context) {
        Verdict::Fail { detail, .. } => detail.contains(word),
        Verdict::Pass | Verdict::NotApplicable => false,
    }
}

#[test]
fn rules_that_exist_in_both_agree() {
    let Some(folder) = corpus() else { return };
    let expected = fs::read_to_string(folder.join("expected.tsv")).expect("the corpus is whole");
    // For each rule: verdicts that agree, and of those the certificates that break it.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut differences = BTreeSet::new();
    let mut lints = BTreeSet::new();
    // The corpus has some pairs twice, where the lint was configured in two ways: broken in
    // one of them is broken.
    let mut pairs: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for line in expected.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [lint, file, verdict, ..] = fields[..] else { continue };
        // NA and NE: the lint is not about this certificate, or came into force after it.
        *pairs.entry((lint, file)).or_default() |= match verdict {
            "Error" | "Warn" | "Notice" => true,
            "Pass" | "NA" | "NE" => false,
            other => panic!("a verdict {other}"),
        };
    }
    let mut compared = 0;
    for ((lint, file), broken) in pairs {
        let Some((_, rule, word)) = SAME.iter().find(|(name, ..)| *name == lint) else { continue };
        let bytes = fs::read(folder.join(file)).expect("the corpus is whole");
        let certificate = parse(&certificates_in(&bytes)[0]);
        compared += 1;
        lints.insert(lint);
        if fails(rule, word, &certificate) == broken {
            let count = counts.entry(rule).or_default();
            count.0 += 1;
            count.1 += usize::from(broken);
        } else {
            differences.insert((lint, file, broken));
        }
    }
    for (rule, (agree, broken)) in &counts {
        println!("{rule:45} {agree:3} agree, {broken:3} of them broken");
    }
    let agree: usize = counts.values().map(|(agree, _)| agree).sum();
    println!("{} lints, {} rules, {compared} verdicts, {agree} agree", lints.len(), counts.len());
    let named: BTreeSet<_> = differences.iter().map(|(lint, file, _)| (*lint, *file)).collect();
    let explained: BTreeSet<_> = EXPLAINED.iter().copied().collect();
    let unexplained: Vec<_> =
        differences.iter().filter(|(lint, file, _)| !explained.contains(&(*lint, *file))).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert_eq!(named, explained, "an explanation of what is no longer so");
    assert!(compared >= 290, "only {compared} verdicts to compare");
}

#[test]
fn every_lint_is_named_once_and_every_rule_exists() {
    let names: BTreeSet<_> = SAME.iter().map(|(lint, ..)| lint).collect();
    assert_eq!(names.len(), SAME.len());
    for (_, rule, _) in SAME {
        assert!(rules::rule(rule).is_some(), "no rule {rule}");
    }
}
