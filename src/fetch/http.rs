//! What all clients of HTTP have in common: what they call themselves, and whom they trust.

use std::path::PathBuf;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;

use crate::disk;

/// A file of trusted roots that cannot be used.
#[derive(Debug)]
pub(crate) struct BadRoots {
    /// The environment variable that names it.
    pub(crate) variable: &'static str,
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// The settings that all clients start from: answers of any status are answers, and nothing follows a redirect by
/// itself, for what is sent along (a token, a key, a signature) is for one host. TLS trusts Mozilla's roots, or those in
/// the file that the first set of `variables` names, as OpenSSL, curl and Python take them; proxies come from
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
///
/// # Errors
/// That file cannot be read, or has no certificate in it.
pub(crate) fn client_config(
    variables: &[&'static str],
) -> Result<ConfigBuilder<AgentScope>, BadRoots> {
    let mut tls = TlsConfig::builder();
    if let Some(roots) = own_roots(variables)? {
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    Ok(Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("sert-run/", env!("CARGO_PKG_VERSION"))))
}

/// Whether what ended a request may pass: the same may be asked again.
pub(crate) fn may_pass(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Protocol(_)
    )
}

fn own_roots(variables: &[&'static str]) -> Result<Option<Vec<Certificate<'static>>>, BadRoots> {
    let named = |variable: &&'static str| {
        let path = std::env::var_os(*variable).filter(|path| !path.is_empty())?;
        Some((*variable, PathBuf::from(path)))
    };
    let Some((variable, path)) = variables.iter().find_map(named) else {
        return Ok(None);
    };
    let wrong = |reason: String| BadRoots {
        variable,
        path: path.clone(),
        reason,
    };
    let pem = disk::read_small(&path).map_err(|error| wrong(error.to_string()))?;
    let roots: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if roots.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(Some(roots))
}
