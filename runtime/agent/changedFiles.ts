import type { RequestListener } from "node:http";
import { messageOf } from "../spec/errors.ts";
import { sameSecret } from "./sameSecret.ts";

/**
 * Answers whoever sets this node up and has changed a file that is read at the start, with `POST /changed` and the
 * token: 204 when the agent goes by it, 202 when it ends to come up anew for it. All else that is asked here is for
 * WebSockets.
 */
export function changedFilesListener(token: string, reread: () => Promise<{ restarts: boolean }>): RequestListener {
  return (request, response) => {
    const { method, url, headers } = request;
    request.resume();
    if (method !== "POST" || url !== "/changed") response.writeHead(426).end();
    else if (!sameSecret(headers.authorization ?? "", token)) response.writeHead(403).end();
    else {
      reread().then(
        ({ restarts }) => response.writeHead(restarts ? 202 : 204, { connection: "close" }).end(),
        (error: unknown) => response.writeHead(500, { connection: "close" }).end(messageOf(error)),
      );
    }
  };
}
