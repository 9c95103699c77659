//! How the LLM server is reached: its URL, headers and certificate authorities.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};

use super::CertificateFile;
use super::reader::SettingsReader;
use super::show::{MASK, mask_url};

/// Headers that belong to the transport.
const OF_THE_TRANSPORT: [HeaderName; 5] =
    [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

/// The URL of `llm_base_url`, without a slash at the end of its path.
pub(super) fn base_url(reader: &mut SettingsReader) -> Option<String> {
    let rule = "must be an http or https URL such as http://localhost:11434/v1";
    let mut url = reader.url("llm_base_url", &["http", "https"], rule)?;
    let rule = if url.fragment().is_some() {
        "must not have a fragment (#...)"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not contain a user or password; put the key into PLANNER_OPENAI_API_KEY"
    } else if url.path().trim_end_matches('/').ends_with("/chat/completions") {
        "must not end in /chat/completions, which is appended to it"
    } else {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        // The URL standard has a slash for an empty path.
        let url = match url.query() {
            None => url.as_str().trim_end_matches('/').to_owned(),
            Some(query) => format!("{}{path}?{query}", url.origin().ascii_serialization()),
        };
        reader.show("llm_base_url", mask_url(&url));
        return Some(url);
    };
    reader.fault("llm_base_url", &format!("is \"{}\"", mask_url(url.as_str())), rule);
    None
}

/// The headers of `llm_headers`, their values marked as secret.
pub(super) fn headers(reader: &mut SettingsReader) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let text = reader.given_or_default("llm_headers");
    for pair in text.split(['\n', ';']).map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = header(pair) else {
            let rule = "must be `Name: value` pairs, one per line or separated by `;`";
            reader.fault("llm_headers", "has an entry that is not a header", rule);
            return headers;
        };
        if OF_THE_TRANSPORT.contains(&name) {
            reader.fault("llm_headers", &format!("has `{name}`"), "must not set headers of the transport");
        }
        headers.append(name, value);
    }
    let masked: Vec<String> = headers.keys().map(|name| format!("{name}: {MASK}")).collect();
    reader.show("llm_headers", masked.join("; "));
    headers
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once(':')?;
    let mut value = HeaderValue::try_from(value.trim()).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name.trim()).ok()?, value))
}

/// The certificates in the file that `llm_ca_file` names.
pub(super) fn ca_file(reader: &mut SettingsReader) -> Option<CertificateFile> {
    let path = reader.text("llm_ca_file");
    if path.is_empty() {
        return None;
    }
    let file = CertificateFile::read(path.clone());
    file.map_err(|rule| reader.fault("llm_ca_file", &format!("is \"{path}\""), rule)).ok()
}
