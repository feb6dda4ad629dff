//! Certificates, and what an import comes to as text.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use regauth::config::{Code, Diagnostic, Directory, Entry, File, Files, Importer, Severity};
use regauth::time::Time;
use regauth::{Agent, Reference};

/// 2026-06-01.
pub(crate) const NOW: Time = Time(1_780_272_000_000);

/// PEM by name: `CERT` and `KEY` belong together; `BOTH` holds both; `CA` issued `CERT`.
pub(crate) fn pem(name: &str) -> &'static str {
    static MADE: OnceLock<HashMap<&'static str, String>> = OnceLock::new();
    MADE.get_or_init(make).get(name).unwrap_or_else(|| panic!("no {name}"))
}

fn make() -> HashMap<&'static str, String> {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    let mut made = HashMap::new();
    let named = |name: &str, usage: Option<ExtendedKeyUsagePurpose>| {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.extend(usage);
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2027, 1, 1));
        params
    };
    let mut ca = named("test CA", None);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    made.insert("CA", ca_pem);
    let mut add = |names: [&'static str; 3], params: CertificateParams| {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        made.insert(names[2], format!("{certificate}{}", key.serialize_pem()));
        made.insert(names[0], certificate);
        made.insert(names[1], key.serialize_pem());
    };
    add(["CERT", "KEY", "BOTH"], named("client", Some(ExtendedKeyUsagePurpose::ClientAuth)));
    add(["CERT2", "KEY2", "BOTH2"], named("second", None));
    add(["SERVERONLY", "SERVERONLYKEY", "SERVERONLYBOTH"], named("server", Some(ExtendedKeyUsagePurpose::ServerAuth)));
    let mut old = named("old", None);
    old.not_after = date_time_ymd(2026, 5, 1);
    add(["EXPIRED", "EXPIREDKEY", "EXPIREDBOTH"], old);
    made
}

/// A file that openssl makes: its arguments, with `OUT` for the file.
pub(crate) struct Openssl(PathBuf);

impl Openssl {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("regauth-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn run(&self, arguments: &str) -> &Self {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.0).output();
        let done = done.expect("the program openssl is needed: apt-get install openssl");
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `CERT` in braces, and so on, by the PEM of that name.
pub(crate) fn filled(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_string() };
    match rest.split_once('}') {
        Some((name, after))
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) =>
        {
            format!("{before}{}{}", pem(name), filled(after))
        }
        _ => format!("{before}{{{}", filled(rest)),
    }
}

/// A directory called `name`. An entry whose name ends in `/` is an empty directory; contents that begin with `!` are why
/// it cannot be read.
pub(crate) fn directory(name: &str, files: &[(&str, &str)]) -> Directory {
    let mut directory = Directory::new(name);
    for (path, contents) in files {
        let entry = match (path.strip_suffix('/'), contents.strip_prefix('!')) {
            (Some(path), _) => Entry::Directory(Directory::new(directory.path(path))),
            (None, Some(why)) => Entry::Unreadable(why.into()),
            _ => Entry::File(filled(contents).into()),
        };
        directory.put(path.trim_end_matches('/'), entry);
    }
    directory
}

pub(crate) fn file(name: &str, text: &str) -> File {
    File::new(name, filled(text))
}

/// The files that the tables name.
pub(crate) fn files() -> Files {
    let mut files = Files::new();
    for (name, text) in [
        ("/pki/ca.crt", "{CA}"),
        ("/pki/client.crt", "{CERT}"),
        ("/pki/client.key", "{KEY}"),
        ("/pki/second.crt", "{CERT2}"),
        ("/pki/second.key", "{KEY2}"),
        ("/pki/both.pem", "{BOTH}"),
        ("/pki/empty", ""),
    ] {
        files.put(name, Entry::File(filled(text).into()));
    }
    let dir = directory("/pki/dir", &[("ca.crt", "{CA}"), ("client.cert", "{CERT}"), ("client.key", "{KEY}")]);
    files.put("/pki/dir", Entry::Directory(dir));
    files.put("/pki/half", Entry::Directory(directory("/pki/half", &[("client.cert", "{CERT}")])));
    files.put("/pki/orphan", Entry::Directory(directory("/pki/orphan", &[("client.key", "{KEY}")])));
    files
}

pub(crate) fn importer() -> Importer {
    Importer::new().now(NOW).files(files())
}

/// For an image: a line for each endpoint, and a last one of all diagnostics that begins with `!`.
pub(crate) fn summary(importer: Importer, image: &str) -> String {
    let (config, found) = importer.finish().into_config();
    found.iter().for_each(is_whole);
    let agent = Agent::new(config.clone()).unwrap();
    let image = Reference::parse(image).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for endpoint in agent.all_endpoints(&image) {
        let profile = agent.profile(endpoint.profile).unwrap();
        let settings = profile.settings();
        let kind = if endpoint.mirror { "mirror" } else { "registry" };
        let mut line = format!("{kind} {}{}", endpoint.origin, endpoint.root);
        let mut add = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                line.push_str(&format!(" {name}:{}", values.join(",")));
            }
        };
        add("certs", settings.identities.iter().map(|identity| identity.label().to_string()).collect());
        add("ca", (!settings.roots.pem.is_empty()).then(|| settings.roots.pem.len().to_string()).into_iter().collect());
        let host = config.host_of(&endpoint.origin);
        add(
            "headers",
            host.map(|host| host.headers.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default(),
        );
        if endpoint.capabilities.len() < 4 {
            add("caps", endpoint.capabilities.iter().map(|one| one.as_str().to_string()).collect());
        }
        add("ns", endpoint.ns.iter().cloned().collect());
        if endpoint.repository != image.repository() {
            add("repository", vec![endpoint.repository.clone()]);
        }
        if let Some(found) = config.credentials_of(&endpoint.origin, &endpoint.name()) {
            let text = match (&found.user, &found.helper) {
                (Some(user), _) if found.what == "a password" => user.clone(),
                (Some(user), _) => format!("{user}-without-password"),
                (None, Some(helper)) => format!("{}({})", helper.name, helper.url),
                _ => found.what.replace(' ', "-"),
            };
            add("creds", vec![text]);
        }
        let flags = [
            (settings.skip_verify, "skip"),
            (!settings.roots.webpki, "only-ca"),
            (host.is_some_and(|host| host.unusable.is_some()), "FAILS"),
        ];
        flags.iter().filter(|(on, _)| *on).for_each(|(_, name)| line.push_str(&format!(" {name}")));
        if let Some(time) = host.and_then(|host| host.dial_timeout) {
            line.push_str(&format!(" dial:{time}"));
        }
        lines.push(line);
    }
    lines.push(format!("!{}", codes(&found)));
    lines.join("\n")
}

/// One sentence of what, one of what to do, and the line of whatever has a key.
pub(crate) fn is_whole(one: &Diagnostic) {
    let place = &one.place;
    assert!(!place.file.is_empty() && (place.key.is_empty() || place.line.is_some()), "{one:?}");
    assert!(!one.what.is_empty() && !one.what.ends_with('.') && !one.what.contains(". The"), "{one:?}");
    assert!(one.remedy.ends_with('.') && !one.what.contains(char::is_control), "{one:?}");
}

/// Severity and code of each, in the order in which they were found.
pub(crate) fn codes(found: &[Diagnostic]) -> String {
    let letter = |severity| match severity {
        Severity::Error => 'E',
        Severity::Warning => 'W',
        _ => 'I',
    };
    found.iter().map(|one| format!(" {}:{}", letter(one.severity), one.code)).collect()
}

pub(crate) fn has(found: &[Diagnostic], code: Code, file: &str) -> bool {
    found.iter().any(|one| one.code == code && one.place.file == file)
}

/// Compares every row, and shows all that differ.
pub(crate) fn check(rows: Vec<(&str, String, &str)>) {
    let mut wrong = Vec::new();
    for (tag, got, wanted) in &rows {
        let wanted = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        if *got != wanted {
            wrong.push(format!("--- {tag}\nwanted:\n{wanted}\ngot:\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    println!("{} rows", rows.len());
}

/// What is tested, the text of the file, an image, and what comes of it, with `reg` and `hub` for two registries.
pub(crate) type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Checks a table of files of one format.
pub(crate) fn done(name: &str, rows: &[Row<'_>], import: fn(&mut Importer, &File)) {
    let rows = rows.iter().map(|(tag, text, image, wanted)| {
        let mut importer = importer();
        import(&mut importer, &file(name, &written_out(text)));
        let line = summary(importer, image);
        let line = line
            .replace("registry https://reg.example/v2", "reg")
            .replace("registry https://registry-1.docker.io/v2", "hub");
        (*tag, line, *wanted)
    });
    check(rows.collect());
}

/// `ROBOT`: the field `auth` of `robot:s3cret`; `UUU`: user and password in fields of their own.
pub(crate) fn written_out(text: &str) -> String {
    text.replace("ROBOT", r#""auth":"cm9ib3Q6czNjcmV0""#).replace("UUU", r#""username":"u","password":"p""#)
}
