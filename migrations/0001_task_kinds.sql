PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE `__new_tasks` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`key_id` text NOT NULL,
	`kind` text NOT NULL,
	`model` text NOT NULL,
	`digest` text,
	`region` text NOT NULL,
	`strategy` text NOT NULL,
	`class` text NOT NULL,
	`streamed` integer NOT NULL,
	`attempts` integer NOT NULL,
	`state` text NOT NULL,
	`finish` text,
	`prompt_tokens` integer NOT NULL,
	`completion_tokens` integer NOT NULL,
	`hold_micros` integer NOT NULL,
	`cost_micros` integer NOT NULL,
	`error_code` text,
	`route` text,
	`created_at` integer NOT NULL,
	`first_token_at` integer,
	`ended_at` integer NOT NULL,
	CONSTRAINT "tasks_state" CHECK("__new_tasks"."state" in ('settled', 'void')),
	CONSTRAINT "tasks_class" CHECK("__new_tasks"."class" in ('public', 'shared', 'confidential', 'private')),
	CONSTRAINT "tasks_tokens" CHECK("__new_tasks"."prompt_tokens" >= 0 and "__new_tasks"."completion_tokens" >= 0),
	CONSTRAINT "tasks_hold" CHECK(typeof("__new_tasks"."hold_micros") = 'integer' and "__new_tasks"."hold_micros" >= 0),
	CONSTRAINT "tasks_cost" CHECK(typeof("__new_tasks"."cost_micros") = 'integer' and "__new_tasks"."cost_micros" >= 0),
	CONSTRAINT "tasks_route" CHECK("__new_tasks"."route" is null or json_valid("__new_tasks"."route"))
);
--> statement-breakpoint
INSERT INTO `__new_tasks`("id", "account_id", "key_id", "kind", "model", "digest", "region", "strategy", "class", "streamed", "attempts", "state", "finish", "prompt_tokens", "completion_tokens", "hold_micros", "cost_micros", "error_code", "route", "created_at", "first_token_at", "ended_at") SELECT "id", "account_id", "key_id", "kind", "model", "digest", "region", "strategy", "class", "streamed", "attempts", "state", "finish", "prompt_tokens", "completion_tokens", "hold_micros", "cost_micros", "error_code", "route", "created_at", "first_token_at", "ended_at" FROM `tasks`;--> statement-breakpoint
DROP TABLE `tasks`;--> statement-breakpoint
ALTER TABLE `__new_tasks` RENAME TO `tasks`;--> statement-breakpoint
PRAGMA foreign_keys=ON;--> statement-breakpoint
CREATE INDEX `tasks_by_account` ON `tasks` (`account_id`,`created_at`,`id`);