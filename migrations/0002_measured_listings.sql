ALTER TABLE `listings` ADD `identity` text DEFAULT 'declared' NOT NULL;--> statement-breakpoint
ALTER TABLE `listings` ADD `bits_per_weight` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `declared_first_token_ms` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `declared_prompt_tokens_per_s` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `declared_decode_tokens_per_s` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `measured_first_token_ms` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `measured_decode_tokens_per_s` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `measured_success_share` real;--> statement-breakpoint
ALTER TABLE `listings` ADD `measured_samples` integer;--> statement-breakpoint
ALTER TABLE `workers` ADD `hardware` text;--> statement-breakpoint
ALTER TABLE `workers` ADD `tier` text;