import * as glue from "#glue";
import { call } from "./errors.js";

/** A challenge of a WWW-Authenticate field (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** As it was written; its case has no meaning. */
  scheme: string;
  token68?: string;
  /** Names as they were written, values without quotes. */
  params: [name: string, value: string][];
}

/** Reads WWW-Authenticate fields in their order. `flaws` is how many times they break the grammar. */
export function parseChallenges(fields: string | string[]): { challenges: Challenge[]; flaws: number } {
  const flat = call(() => glue.challenges(typeof fields === "string" ? [fields] : fields));
  const challenges: Challenge[] = [];
  for (let i = 1; i < flat.length; ) {
    const [scheme, token68, count] = flat.slice(i, i + 3);
    const params: [string, string][] = [];
    for (let j = i + 3; j < i + 3 + 2 * count; j += 2) params.push([flat[j], flat[j + 1]]);
    challenges.push({ scheme, ...(token68 !== undefined && { token68 }), params });
    i += 3 + 2 * count;
  }
  return { challenges, flaws: flat[0] };
}

/** The parts of an image name. */
export interface Reference {
  /** Where its registry is. */
  origin: string;
  domain: string;
  repository: string;
  tag?: string;
  digest?: string;
}

/** Reads an image name by the distribution grammar, with Docker's defaults. */
export function parseReference(name: string): Reference {
  const [origin, domain, repository, tag, digest] = call(() => glue.reference(name));
  return { origin, domain, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** Scheme, host and port of a URL in normal form. */
export function parseOrigin(url: string): string {
  return call(() => glue.origin(url));
}

/** The scopes that a request needs, by the distribution specification; undefined where its path says nothing. */
export function scopesOf(method: string, target: string): string[] | undefined {
  return glue.scopes(method, target);
}
