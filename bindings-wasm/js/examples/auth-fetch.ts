// Authentication beside the host's own HTTP client: node auth-fetch.js URL [USER PASSWORD]
import { Agent, CapabilityError, type Credentials, RegauthError, authFetch } from "regauth";

const [url = "https://registry-1.docker.io/v2/library/alpine/tags/list", username, password] = process.argv.slice(2);
const agent = new Agent({ ask: true });
const credentials = (): Credentials | null =>
  username !== undefined && password !== undefined ? { username, password } : null;
const fetch = authFetch(agent, { credentials });
try {
  const response = await fetch(url);
  process.stdout.write(`${response.status}\n`);
} catch (error) {
  if (error instanceof RegauthError) process.stdout.write(`${error.fault} ${error.hop ?? ""}: ${error.message}\n`);
  else if (error instanceof CapabilityError) process.stdout.write(`${error.capability}: ${error.message}\n`);
  else throw error;
} finally {
  agent.close();
}
