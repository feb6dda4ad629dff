//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;
use regauth::{Origin, Reference};

use crate::config_files::{self, Sources};
use crate::failure::{Exit, Failure};
use crate::platform::Platform;

const HELP: &str = "\
Pulls an image through every hop, and shows what each hop was given.

usage: pull [OPTION...] [IMAGE]

Without IMAGE: a demonstration with three servers of its own on loopback.

The registry:
  --cert FILE --key FILE     client certificate (PEM, leaf first) and its key; may be given again: the first is shown
                             of which the server names an issuer
  --try-pairs                the next one after TLS has refused one
  --try-pairs-on-status      and after 403, 404 or 5xx
  --ca FILE                  more certificate authorities (PEM); may be given again
  --user NAME                user name; the password comes by
  --password-stdin             standard input
  --http                     this registry speaks plain http

Its token service, if that is another host:
  --token-origin ORIGIN      credentials may go there: https://auth.example
  --token-identity           the registry's certificate too
  --token-cert FILE --token-key FILE
                             a certificate of its own
  --token-local              it may be at a more local address than the registry

Where it keeps its blobs, if that is another host that wants a certificate:
  --storage-origin ORIGIN, --storage-identity, --storage-cert FILE, --storage-key FILE, --storage-local

Files that the machine has already; an earlier one holds before a later one, and the options above before all of them:
@FILES@

The pull:
  -o, --output DIR           write an OCI image layout; DIR is new or empty
  --platform OS/ARCH[/VARIANT]
                             which image of an index (default: linux and this machine's)
  --twice                    pull again with the same agent: no challenge, no token, no new connection
  --timeout SECONDS          for each answer to begin or go on (default 30)
  --explain                  say why each hop got what it got
  --json                     the table as one JSON object a hop
  -h, --help                 this text

From the environment: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR.

Exit codes: 0 pulled; 1 the demonstration's blob store was shown a secret; 2 wrong input; 3 refused by policy before
anything was sent; 4 refused by registry or token service; 5 no connection, or TLS; 6 files could not be written;
7 content that its digest does not match.
";

/// For `--help`.
pub(crate) fn help() -> String {
    HELP.replace("@FILES@", config_files::HELP)
}

/// Another origin than the registry's, and what it may be given.
#[derive(Debug, Default)]
pub(crate) struct Other {
    pub(crate) origin: Option<Origin>,
    pub(crate) identity: bool,
    pub(crate) local: bool,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) image: Option<Reference>,
    pub(crate) sources: Sources,
    pub(crate) certs: Vec<PathBuf>,
    /// As many.
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) try_pairs: bool,
    pub(crate) try_pairs_on_status: bool,
    pub(crate) ca: Vec<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password_stdin: bool,
    pub(crate) http: bool,
    pub(crate) token: Other,
    pub(crate) storage: Other,
    pub(crate) output: Option<PathBuf>,
    pub(crate) platform: Option<Platform>,
    pub(crate) twice: bool,
    pub(crate) timeout: Option<u64>,
    pub(crate) explain: bool,
    pub(crate) json: bool,
    pub(crate) help: bool,
}

/// Reads the arguments; the first is the first behind the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Failure> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let sources = config_files::options(&mut arguments).map_err(|what| input(what, "See --help."))?;
    let mut options = Options { sources, ..Options::default() };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => options.help = true,
            Arg::Short('o') | Arg::Long("output") => options.output = Some(path(&mut parser)?),
            Arg::Long("cert") => options.certs.push(path(&mut parser)?),
            Arg::Long("key") => options.keys.push(path(&mut parser)?),
            Arg::Long("try-pairs") => options.try_pairs = true,
            Arg::Long("try-pairs-on-status") => options.try_pairs_on_status = true,
            Arg::Long("ca") => options.ca.push(path(&mut parser)?),
            Arg::Long("user") => options.user = Some(text(&mut parser)?),
            Arg::Long("password-stdin") => options.password_stdin = true,
            Arg::Long("http") => options.http = true,
            Arg::Long("twice") => options.twice = true,
            Arg::Long("explain") => options.explain = true,
            Arg::Long("json") => options.json = true,
            Arg::Long("platform") => options.platform = Some(text(&mut parser)?.parse()?),
            Arg::Long("timeout") => options.timeout = Some(seconds(&text(&mut parser)?)?),
            Arg::Long(name) => {
                let (other, rest) = match (name.strip_prefix("token-"), name.strip_prefix("storage-")) {
                    (Some(rest), _) => (&mut options.token, rest.to_string()),
                    (_, Some(rest)) => (&mut options.storage, rest.to_string()),
                    _ => return Err(usage(Arg::Long(name).unexpected())),
                };
                match rest.as_str() {
                    "identity" => other.identity = true,
                    "local" => other.local = true,
                    "cert" => other.cert = Some(path(&mut parser)?),
                    "key" => other.key = Some(path(&mut parser)?),
                    "origin" => other.origin = Some(origin(&text(&mut parser)?)?),
                    _ => return Err(unknown(&format!("--{name}"))),
                }
            }
            Arg::Value(_) if options.image.is_some() => {
                return Err(input("more than one image is named", "Name one image."));
            }
            Arg::Value(name) => {
                let name = name.into_string().map_err(|_| input("the image name is no text", "Name an image."))?;
                let image = Reference::parse(&name)
                    .map_err(|error| input(error.to_string(), "Name an image such as registry.example/app:1.2."))?;
                options.image = Some(image);
            }
            Arg::Short(name) => return Err(unknown(&format!("-{name}"))),
        }
    }
    check(&options)?;
    Ok(options)
}

/// What belongs together.
fn check(options: &Options) -> Result<(), Failure> {
    if options.certs.len() != options.keys.len() {
        let what = format!("{} times --cert and {} times --key", options.certs.len(), options.keys.len());
        return Err(input(format!("{what}: one is given without the other"), "Give both, in the same order."));
    }
    if options.certs.len() < 2 && (options.try_pairs || options.try_pairs_on_status) {
        let what = "the next certificate is to be tried, and there are not two of them";
        return Err(input(what, "Give --cert and --key more than once."));
    }
    let pairs = [
        ("--token-cert", &options.token.cert, "--token-key", &options.token.key),
        ("--storage-cert", &options.storage.cert, "--storage-key", &options.storage.key),
    ];
    for (cert, has_cert, key, has_key) in pairs {
        if has_cert.is_some() != has_key.is_some() {
            return Err(input(format!("one of {cert} and {key} is given without the other"), "Give both."));
        }
    }
    for (name, other) in [("token", &options.token), ("storage", &options.storage)] {
        let more = other.identity || other.local || other.cert.is_some();
        if more && other.origin.is_none() {
            let what = format!("an option for the registry's {name} origin is given, and not which origin that is");
            return Err(input(what, format!("Add --{name}-origin ORIGIN.")));
        }
    }
    if options.user.is_some() != options.password_stdin {
        let what = "one of --user and --password-stdin is given without the other";
        return Err(input(what, "Give both, or neither to pull anonymously."));
    }
    if options.user.as_ref().is_some_and(|user| user.contains(':') || user.is_empty()) {
        return Err(input("the user name is empty or holds a colon, which Basic cannot carry", "Check --user."));
    }
    let of_registry = !options.certs.is_empty() || options.user.is_some() || options.http || !options.ca.is_empty();
    let of_others = options.token.origin.is_some() || options.storage.origin.is_some();
    let of_files = !options.sources.is_empty();
    if options.image.is_none() && !options.help && (of_registry || of_others || of_files) {
        return Err(input("options for a registry are given, and no image", "Name an image: registry.example/app:1."));
    }
    Ok(())
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, Failure> {
    parser.value().map(PathBuf::from).map_err(usage)
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Failure> {
    let value = parser.value().map_err(usage)?;
    value.into_string().map_err(|_| input("the value of an option is no text", "Use UTF-8."))
}

fn seconds(text: &str) -> Result<u64, Failure> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.ok_or_else(|| input("--timeout takes 1 to 3600 seconds", "Give a number such as 30."))
}

/// The value is not repeated: it may hold user information.
fn origin(text: &str) -> Result<Origin, Failure> {
    let todo = "Give scheme, host and port alone: https://auth.example:5001.";
    let url = regauth::Url::parse(text).map_err(|flaw| input(format!("the origin that is given {flaw}"), todo))?;
    match url.rest() {
        "" | "/" => Ok(url.origin().clone()),
        _ => Err(input("the origin that is given has a path", todo)),
    }
}

fn input(what: impl Into<String>, todo: impl Into<String>) -> Failure {
    Failure::new(Exit::Input, what, todo)
}

fn unknown(name: &str) -> Failure {
    input(format!("{name} is no option"), "See --help.")
}

/// The parser's own errors, without values: somebody may write --password-stdin=SECRET.
fn usage(error: lexopt::Error) -> Failure {
    match error {
        lexopt::Error::MissingValue { option } => {
            input(format!("{} needs a value", option.unwrap_or_default()), "See --help.")
        }
        lexopt::Error::UnexpectedOption(name) => unknown(&name),
        lexopt::Error::UnexpectedValue { option, .. } => input(format!("{option} takes no value"), "See --help."),
        _ => input("an argument cannot be read", "See --help."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_whole_line_is_read() {
        let line = "--cert c --key k --cert d --key l --try-pairs --try-pairs-on-status --ca a --ca b --user u --password-stdin --http --token-origin https://t.example/ \
                    --token-identity --storage-origin https://s.example --storage-cert sc --storage-key sk -o out \
                    --platform linux/arm/v7 --twice --timeout 5 --explain --json --docker-certs d --regauth=r.toml \
                    reg.example/app:1";
        let options = read(line).unwrap();
        assert_eq!(options.image.unwrap().to_string(), "reg.example/app:1");
        assert_eq!(options.token.origin.unwrap().to_string(), "https://t.example");
        assert!(options.token.identity && !options.storage.identity && options.http && options.twice);
        assert_eq!((options.ca.len(), options.timeout), (2, Some(5)));
        assert_eq!((options.certs, options.keys), (vec!["c".into(), "d".into()], vec!["k".into(), "l".into()]));
        assert!(options.try_pairs && options.try_pairs_on_status && !options.sources.is_empty());
        assert_eq!(options.platform.unwrap().to_string(), "linux/arm/v7");
    }

    #[test]
    fn wrong_lines_say_what_and_keep_values_to_themselves() {
        for (line, what) in [
            ("a b", "more than one image is named"),
            ("https://reg.example/app", "an image name has no scheme"),
            ("reg.example/App", "is no repository"),
            ("--cert c a", "without the other"),
            ("--cert c --key k --cert d a", "2 times --cert and 1 times --key"),
            ("--cert c --key k --try-pairs a", "not two of them"),
            ("--user u a", "without the other"),
            ("--user u:hunter2 --password-stdin a", "holds a colon"),
            ("--token-identity a", "not which origin"),
            ("--token-origin https://me:hunter2@t.example a", "holds user information"),
            ("--token-origin https://t.example/hunter2 a", "has a path"),
            ("--token-hunter a", "is no option"),
            ("--password-stdin=hunter2 a", "takes no value"),
            ("--password=hunter2 a", "is no option"),
            ("-x a", "-x is no option"),
            ("a -o", "needs a value"),
            ("--timeout 0 a", "1 to 3600"),
            ("--platform linux a", "no platform"),
            ("--cert c --key k", "no image"),
            ("--docker-certs d", "no image"),
            ("a --docker-config", "--docker-config wants a name"),
        ] {
            let failure = read(line).unwrap_err();
            assert!(failure.what.contains(what) && failure.exit == Exit::Input, "{line}: {failure}");
            assert!(!failure.to_string().contains("hunter2"), "{line}: {failure}");
        }
    }
}
