/** Of an npm script, a debugger, a test or an editor's extension host: meant for this process, not for one that stays. */
const passing = /^(?:npm_|VITEST|VSCODE_|ELECTRON_|APPLICATION_?INSIGHTS)|^(?:NODE_OPTIONS|INIT_CWD)$/i;

/**
 * The environment for an agent started from a process with `env`. Where that is Electron, such as an editor's
 * extension host, the agent is told to be Node all the same, and passes that on to its workers.
 */
export function agentEnvironment(env: NodeJS.ProcessEnv, inElectron: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !passing.test(name));
  return { ...Object.fromEntries(kept), ...(inElectron ? { ELECTRON_RUN_AS_NODE: "1" } : {}) };
}
