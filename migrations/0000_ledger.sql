CREATE TABLE `accounts` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`status` text NOT NULL,
	`concurrency_max` integer NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "accounts_kind" CHECK("accounts"."kind" in ('consumer', 'provider', 'operator', 'system')),
	CONSTRAINT "accounts_status" CHECK("accounts"."status" in ('active', 'suspended')),
	CONSTRAINT "accounts_concurrency" CHECK("accounts"."concurrency_max" >= 0)
);
--> statement-breakpoint
CREATE INDEX `accounts_by_time` ON `accounts` (`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `api_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`env` text NOT NULL,
	`secret_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	`expires_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "api_keys_role" CHECK("api_keys"."role" in ('consumer', 'operator')),
	CONSTRAINT "api_keys_id" CHECK(length("api_keys"."id") = 8),
	CONSTRAINT "api_keys_secret_hash" CHECK(length("api_keys"."secret_hash") = 64)
);
--> statement-breakpoint
CREATE INDEX `api_keys_by_account` ON `api_keys` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `listings` (
	`id` text PRIMARY KEY NOT NULL,
	`worker_id` text NOT NULL,
	`account_id` text NOT NULL,
	`model` text NOT NULL,
	`digest` text NOT NULL,
	`input_micros_per_million` integer NOT NULL,
	`output_micros_per_million` integer NOT NULL,
	`class_ceiling` text NOT NULL,
	`region` text NOT NULL,
	`abilities` text NOT NULL,
	`context_tokens` integer NOT NULL,
	`quantization` text NOT NULL,
	`slots` integer NOT NULL,
	`engine` text NOT NULL,
	`online` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`worker_id`) REFERENCES `workers`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "listings_class" CHECK("listings"."class_ceiling" in ('public', 'shared', 'confidential', 'private')),
	CONSTRAINT "listings_input_price" CHECK("listings"."input_micros_per_million" >= 0),
	CONSTRAINT "listings_output_price" CHECK("listings"."output_micros_per_million" >= 0),
	CONSTRAINT "listings_abilities" CHECK(json_valid("listings"."abilities") and json_type("listings"."abilities") = 'array'),
	CONSTRAINT "listings_online" CHECK("listings"."online" in (0, 1))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `listings_by_worker` ON `listings` (`worker_id`,`model`);--> statement-breakpoint
CREATE INDEX `listings_by_price` ON `listings` (`output_micros_per_million`,`input_micros_per_million`,`id`);--> statement-breakpoint
CREATE INDEX `listings_by_model` ON `listings` (`model`,`output_micros_per_million`,`input_micros_per_million`,`id`);--> statement-breakpoint
CREATE INDEX `listings_by_digest` ON `listings` (`digest`,`output_micros_per_million`,`input_micros_per_million`,`id`);--> statement-breakpoint
CREATE TABLE `models` (
	`digest` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`architecture` text NOT NULL,
	`parameter_count` integer NOT NULL,
	`quantization` text NOT NULL,
	`context_tokens` integer NOT NULL,
	`first_seen_at` integer NOT NULL,
	CONSTRAINT "models_digest" CHECK(length("models"."digest") = 64)
);
--> statement-breakpoint
CREATE TABLE `workers` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`region` text NOT NULL,
	`agent_version` text NOT NULL,
	`hub` text NOT NULL,
	`online` integer NOT NULL,
	`session_epoch` integer NOT NULL,
	`first_seen_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	CONSTRAINT "workers_online" CHECK("workers"."online" in (0, 1))
);
--> statement-breakpoint
CREATE INDEX `workers_by_account` ON `workers` (`account_id`,`first_seen_at`,`id`);--> statement-breakpoint
CREATE TABLE `attempts` (
	`task_id` text NOT NULL,
	`number` integer NOT NULL,
	`worker_id` text NOT NULL,
	`outcome` text NOT NULL,
	`started_at` integer NOT NULL,
	`first_token_at` integer,
	`ended_at` integer NOT NULL,
	`tokens` integer NOT NULL,
	PRIMARY KEY(`task_id`, `number`),
	FOREIGN KEY (`task_id`) REFERENCES `tasks`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "attempts_number" CHECK("attempts"."number" >= 1),
	CONSTRAINT "attempts_tokens" CHECK("attempts"."tokens" >= 0)
);
--> statement-breakpoint
CREATE INDEX `attempts_by_worker` ON `attempts` (`worker_id`,`started_at`);--> statement-breakpoint
CREATE TABLE `receipts` (
	`task_id` text NOT NULL,
	`attempt` integer NOT NULL,
	`worker_id` text NOT NULL,
	`body` text NOT NULL,
	`worker_signature` text NOT NULL,
	`edge_signature` text NOT NULL,
	`edge_key` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`task_id`, `attempt`),
	CONSTRAINT "receipts_attempt" CHECK("receipts"."attempt" >= 1),
	CONSTRAINT "receipts_body" CHECK(json_valid("receipts"."body"))
);
--> statement-breakpoint
CREATE INDEX `receipts_by_worker` ON `receipts` (`worker_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `tasks` (
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
	CONSTRAINT "tasks_kind" CHECK("tasks"."kind" in ('chat', 'completion')),
	CONSTRAINT "tasks_state" CHECK("tasks"."state" in ('settled', 'void')),
	CONSTRAINT "tasks_class" CHECK("tasks"."class" in ('public', 'shared', 'confidential', 'private')),
	CONSTRAINT "tasks_tokens" CHECK("tasks"."prompt_tokens" >= 0 and "tasks"."completion_tokens" >= 0),
	CONSTRAINT "tasks_hold" CHECK(typeof("tasks"."hold_micros") = 'integer' and "tasks"."hold_micros" >= 0),
	CONSTRAINT "tasks_cost" CHECK(typeof("tasks"."cost_micros") = 'integer' and "tasks"."cost_micros" >= 0),
	CONSTRAINT "tasks_route" CHECK("tasks"."route" is null or json_valid("tasks"."route"))
);
--> statement-breakpoint
CREATE INDEX `tasks_by_account` ON `tasks` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `transfers` (
	`id` text PRIMARY KEY NOT NULL,
	`task_id` text,
	`kind` text NOT NULL,
	`debit_account` text NOT NULL,
	`credit_account` text NOT NULL,
	`asset` text DEFAULT 'CREDIT' NOT NULL,
	`amount_micros` integer NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "transfers_amount" CHECK(typeof("transfers"."amount_micros") = 'integer' and "transfers"."amount_micros" > 0),
	CONSTRAINT "transfers_two_accounts" CHECK("transfers"."debit_account" <> "transfers"."credit_account")
);
--> statement-breakpoint
CREATE INDEX `transfers_by_debit` ON `transfers` (`debit_account`,`created_at`,`id`,`asset`,`amount_micros`);--> statement-breakpoint
CREATE INDEX `transfers_by_credit` ON `transfers` (`credit_account`,`created_at`,`id`,`asset`,`amount_micros`);--> statement-breakpoint
CREATE INDEX `transfers_by_task` ON `transfers` (`task_id`);