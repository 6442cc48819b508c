import { accountForms } from "./account-forms.ts";
import type { CommandForm } from "./form.ts";
import { networkForms } from "./network-forms.ts";
import { workerForms } from "./worker-forms.ts";

const forms = { ...networkForms, ...accountForms, ...workerForms };

export type CommandName = keyof typeof forms;

/** In the order in which somebody new needs them. */
export const commandNames = [
  "login",
  "logout",
  "whoami",
  "models",
  "ask",
  "chat",
  "balance",
  "usage",
  "tasks",
  "task",
  "listings",
  "keys list",
  "keys create",
  "keys revoke",
  "keys rotate",
  "workers list",
  "workers add",
  "workers remove",
  "top-up",
  "audit",
  "restore",
  "completion",
] as const satisfies readonly CommandName[];

/** What may follow a command, with its own names forgotten. */
export function formOf(name: CommandName): CommandForm {
  return forms[name];
}

/** A command's name with its arguments, as `--help` and errors show it. */
export function commandInWords(name: CommandName): string {
  return [name, ...formOf(name).args].join(" ");
}
