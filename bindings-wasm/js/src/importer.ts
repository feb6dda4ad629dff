import * as glue from "#glue";
import { Configuration, type Roots, encode } from "./config.js";
import { call } from "./errors.js";
import type { Found } from "./flow.js";

/** A file's bytes, or why it cannot be read, in the words of the system. */
export type Contents = string | Uint8Array | { unreadable: string };

/** A directory: its path, as people are to read it, and what is in it by relative path. */
export interface Directory {
  name: string;
  entries: Record<string, Contents>;
  /** Why the directory itself cannot be read. */
  unreadable?: string;
}

/** One source of configuration; what an earlier one says holds before a later one's. */
export type Source =
  | { format: "docker-certs"; directory: Directory }
  /** In their search order. */
  | { format: "containers-certs" | "hosts"; directories: Directory[] }
  | {
      format: "buildkitd" | "registries" | "regauth" | "docker-config" | "docker-auth-config" | "auth-json" | "kubernetes";
      /** Its path, as people are to read it and as the names in it are relative to. */
      name: string;
      contents: Contents;
    };

/** Something that is wrong with a configuration, or would surprise. It holds no secret. */
export interface Diagnostic {
  severity: "info" | "warning" | "error";
  /** A stable name in words with hyphens, such as `missing-file`. */
  code: string;
  file: string;
  /** The key in it, dotted; empty for the file as a whole. */
  key: string;
  line?: number;
  what: string;
  remedy: string;
}

export interface ImportOptions {
  /** The files and directories that were `wanted`, exactly by those names. */
  files?: Record<string, Contents | Directory>;
  /** When certificates are looked at, in Unix milliseconds; without it none has expired. */
  now?: number;
  /** What the certificate authorities of the files are added to; the compiled-in ones without this. */
  roots?: Roots;
}

export interface Imported {
  /** Close it. It is there whatever the diagnostics say: where an identity cannot be used, requests to its host fail. */
  configuration: Configuration;
  diagnostics: Diagnostic[];
  /** Files that the configuration names and that were not given: read them, and import again with them as `files`. */
  wanted: string[];
}

function isDirectory(entry: Contents | Directory): entry is Directory {
  return typeof entry === "object" && "entries" in entry;
}

function split(contents: Contents): [Uint8Array | undefined, string] {
  return typeof contents === "object" && "unreadable" in contents
    ? [undefined, contents.unreadable]
    : [encode(contents), ""];
}

function directory({ name, entries, unreadable }: Directory): glue.Directory {
  const all = new glue.Directory(name, unreadable);
  for (const [path, contents] of Object.entries(entries)) {
    const [bytes, why] = split(contents);
    if (bytes) all.add(path, bytes);
    else all.unreadable(path, why);
  }
  return all;
}

/** Reads configuration files of several formats. No file is opened here: names and bytes go in. */
export function importConfig(sources: Source[], options: ImportOptions = {}): Imported {
  const importer = new glue.Importer(options.now);
  try {
    for (const [name, entry] of Object.entries(options.files ?? {})) {
      if (isDirectory(entry)) importer.file_directory(name, directory(entry));
      else importer.file(name, ...split(entry));
    }
    for (const source of sources) {
      if ("contents" in source) {
        call(() => importer.import(source.format, source.name, ...split(source.contents)));
      } else {
        const all = "directory" in source ? [source.directory] : source.directories;
        for (const one of all) importer.directory(directory(one));
        call(() => importer.import_directories(source.format));
      }
    }
    const wanted = importer.wanted();
    const roots = options.roots ?? { webpki: true };
    const [handle, ...flat] = call(() => importer.finish(roots.webpki ?? false, roots.pem ?? []));
    const diagnostics: Diagnostic[] = [];
    for (let i = 0; i < flat.length; i += 7) {
      const [severity, code, file, key, line, what, remedy] = flat.slice(i, i + 7);
      diagnostics.push({ severity, code, file, key, ...(line !== undefined && { line }), what, remedy });
    }
    return { configuration: Configuration.of(handle), diagnostics, wanted };
  } finally {
    importer.free();
  }
}

/**
 * Reads what a credential helper printed; null: it knows none. Throws one sentence otherwise. Run `docker-credential-NAME
 * get` without a shell, with the URL on its standard input, a time limit, and at most 1 MiB of output.
 */
export function readHelperOutput(success: boolean, stdout: Uint8Array): Found | null {
  const [kind, user, secret, validUntil] = glue.helper_output(success, stdout);
  const until = validUntil === undefined ? {} : { validUntil };
  switch (kind) {
    case "none":
      return null;
    case "basic":
      return { username: user, password: secret, ...until };
    case "refresh":
      return { refreshToken: secret, ...until };
    case "bearer":
      return { bearerToken: secret, ...until };
    default:
      throw new Error(user);
  }
}

/** Whether a helper's name from a configuration file can be part of a program's name: no path, no option. */
export function isHelperName(name: string): boolean {
  return glue.is_helper_name(name);
}
