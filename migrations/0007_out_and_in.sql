CREATE TABLE `credits` (
	`id` text PRIMARY KEY NOT NULL,
	`operator_id` text NOT NULL,
	`key_id` text NOT NULL,
	`account_id` text NOT NULL,
	`asset` text NOT NULL,
	`amount_micros` integer NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "credits_amount" CHECK("credits"."amount_micros" > 0)
);
--> statement-breakpoint
CREATE INDEX `credits_by_operator` ON `credits` (`operator_id`,`asset`,`created_at`,`amount_micros`);--> statement-breakpoint
CREATE INDEX `credits_by_account` ON `credits` (`account_id`,`asset`,`created_at`,`amount_micros`);--> statement-breakpoint
CREATE TABLE `payout_proofs` (
	`payout_id` text NOT NULL,
	`address` text NOT NULL,
	`cumulative_micros` integer NOT NULL,
	`proof` text NOT NULL,
	`is_paid` integer NOT NULL,
	PRIMARY KEY(`payout_id`, `address`),
	FOREIGN KEY (`payout_id`) REFERENCES `payouts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "payout_proofs_proof" CHECK(json_valid("payout_proofs"."proof"))
);
--> statement-breakpoint
ALTER TABLE `invitations` ADD `invited_by` text;--> statement-breakpoint
ALTER TABLE `members` ADD `invited_by` text;--> statement-breakpoint
ALTER TABLE `approvals` ADD `requested_account` text;--> statement-breakpoint
ALTER TABLE `approvals` ADD `done_at` integer;--> statement-breakpoint
CREATE INDEX `approvals_undone` ON `approvals` (`decided_at`) WHERE "approvals"."state" = 'approved' and "approvals"."done_at" is null;--> statement-breakpoint
ALTER TABLE `withdrawals` ADD `requested_by` text;--> statement-breakpoint
ALTER TABLE `withdrawals` ADD `approved_by` text;--> statement-breakpoint
ALTER TABLE `withdrawals` ADD `queued_at` integer;--> statement-breakpoint
ALTER TABLE `withdrawals` ADD `returned_at` integer;--> statement-breakpoint
CREATE INDEX `withdrawals_queued_by_account` ON `withdrawals` (`account_id`,`queued_at`);--> statement-breakpoint
CREATE INDEX `withdrawals_queued_by_address` ON `withdrawals` (`address`,`queued_at`);--> statement-breakpoint
CREATE INDEX `withdrawals_unreturned` ON `withdrawals` (`updated_at`) WHERE "withdrawals"."state" = 'rejected' and "withdrawals"."returned_at" is null;--> statement-breakpoint
-- What had been queued was queued at once; what had been approved had been given.
UPDATE `withdrawals` SET `queued_at` = `created_at` WHERE `state` IN ('queued', 'paid out');--> statement-breakpoint
UPDATE `approvals` SET `done_at` = `decided_at` WHERE `state` = 'approved';
