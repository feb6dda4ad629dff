//! Any input ends without a panic: real documents, changed at random. The fuzz targets do the same for longer.

use regauth::config::{Directory, Entry, File, Importer};

use crate::world::{files, filled};

const SEEDS: [&str; 9] = [
    "server = \"https://a.example\"\ncapabilities = [\"pull\"]\n[host.\"https://b.example/v2\"]\nclient = [[\"/pki/client.crt\", \"/pki/client.key\"]]\nca = \"/pki/ca.crt\"\nskip_verify = true\noverride_path = true\ndial_timeout = \"1s\"\n[host.\"https://b.example/v2\".header]\nx = [\"1\"]\n",
    "[registry.\"docker.io\"]\nmirrors = [\"m.example/p\"]\nhttp = false\ninsecure = true\nca = [\"/pki/ca.crt\"]\ntlsconfigdir = [\"/pki/dir\"]\n[[registry.\"m.example\".keypair]]\nkey = \"/pki/client.key\"\ncert = \"/pki/client.crt\"\n",
    "mirrors:\n  docker.io: &m\n    endpoint: [\"https://m.example\", 'http://localhost:5000/v2']\n    rewrite: {\"^a(.*)\": \"b$1\"}\n  \"*\": *m\nconfigs:\n  \"m.example\": {auth: {username: u, password: 'p'}, tls: {<<: {ca_file: /pki/ca.crt}, insecure_skip_verify: no}}\n",
    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"cm9ib3Q6czNjcmV0\"},\"reg.example/a\":{\"username\":\"u\",\"password\":\"p\"}},\"credsStore\":\"x\",\"credHelpers\":{\"a.example\":\"y\"}}",
    "{\"auths\":{\"*.example:443/v1/x\":{\"auth\":\"cm9ib3Q6czNjcmV0\"},\"r[a-c]g.example\":{\"identitytoken\":\"t\"}}}",
    "kind: Secret\ndata:\n  .dockerconfigjson: eyJhdXRocyI6e319\nstringData: {.dockercfg: '{\"a.example\":{}}'}\n",
    "mode = \"strict\"\n[[pair]] registry = \"https://a.example\", token = \"https://b.example\", identity = true\n[host.\"https://a.example\"]\nidentity = [{ certificate = \"/pki/client.crt\", key = \"/pki/client.key\" }]\n[default]\nca = \"/pki/ca.crt\"\n[registry.\"a.example\"]\nmirrors = [\"https://m.example/x\"]\n",
    "[[pair]] registry = 'https://a.example', token = \"https://b.example\" # a, b\n[host.'https://[::1]'] local = true, header = { a = '1,2' }\n[host.\"a.example\"] identity = { certificate = \"/pki/client.crt\", key = \"/pki/client.key\" }, dial_timeout = \"1.5h0.2us\"\n",
    "{CERT}{KEY}",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => drop(bytes.splice(at..at, [u8::try_from(random.below(256)).unwrap()])),
            1 => bytes.truncate(at),
            2 if !bytes.is_empty() => bytes[at] = b"\"'{}[]:=,.\n #*&<\\\0\xff"[random.below(19)],
            3 => {
                let from = random.below(bytes.len());
                let piece = bytes[from..(from + random.below(20)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => drop(bytes.drain(at..(at + random.below(8)).min(bytes.len()))),
        }
    }
    bytes
}

#[test]
fn changed_documents_end() {
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    for round in 0..6000 {
        let seed = SEEDS[random.below(SEEDS.len())];
        let bytes = changed(filled(seed).as_bytes(), &mut random);
        let mut importer = Importer::new().files(files());
        let file = || File::new("x", bytes.clone());
        let mut directory = Directory::new("d");
        match round % 9 {
            0 => importer.buildkitd(&file()),
            1 => importer.registries(&file()),
            2 => importer.docker_config(&file()),
            3 => importer.auth_json(&file()),
            4 => importer.kubernetes(&file()),
            5 => importer.regauth(&file()),
            6 => {
                directory.add("docker.io/hosts.toml", bytes.clone());
                importer.hosts(&[directory]);
            }
            7 => {
                directory
                    .add("a.example/c.cert", bytes.clone())
                    .add("a.example/c.key", bytes.clone())
                    .add("a.example/c.crt", bytes.clone());
                importer.docker_certs(&directory);
            }
            _ => {
                directory.put(&String::from_utf8_lossy(&bytes), Entry::File("x".into()));
                importer.containers_certs(&[directory]);
            }
        }
        let (config, _) = importer.finish().into_config();
        let agent = regauth::Agent::new(config).unwrap();
        let _ = agent.endpoints(&regauth::Reference::parse("alpine").unwrap(), regauth::Capability::Pull);
        let _ = regauth::config::helper::read(round % 2 == 0, &bytes.into());
    }
}
