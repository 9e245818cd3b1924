import type { Level } from "./rule.ts";
import type { Labels } from "./series.ts";

export const actionNames = ["ack", "silence_hour", "silence_morning"] as const;

/** What people may do about an alert from a message of it: take care of it, or be told nothing for a while. */
export type ActionName = (typeof actionNames)[number];

/** Where one thing is done about one alert; who has the address may do it. */
export interface ActionLink {
  readonly action: ActionName;
  readonly url: string;
}

/** What a link is the right to. */
export interface ActionClaim {
  readonly action: ActionName;
  /** The incident. */
  readonly alert: string;
  readonly cluster: string;
  readonly node: string;
  readonly rule: string;
  readonly index: string;
  readonly labels: Labels;
  /** The level it was told at. */
  readonly level: Level;
  /** Unix seconds; to the right only before. */
  readonly expiresAt: number;
}

/** A link as it was read: what it is the right to, or why to nothing. */
export type LinkReading =
  | {
      readonly ok: true;
      readonly claim: ActionClaim;
      /** The same for every reading of the link, and of no other one. */
      readonly id: string;
    }
  | { readonly ok: false; readonly reason: "forged" | "expired" };

/** What was done by a link. */
export type Acted =
  | {
      readonly state: "done";
      readonly by: string;
      /** Until when it holds; null: until the level rises or the alert is over. */
      readonly untilMs: number | null;
    }
  /** The alert is over. */
  | { readonly state: "over" }
  /** The silence was ended by somebody. */
  | { readonly state: "ended"; readonly by: string };

/** When what a link does would end. */
export interface ActionEnd {
  readonly untilMs: number;
  /** A name of the IANA database, in whose time people are told it. */
  readonly timezone: string;
}

/** What people see who follow a link. */
export type ActionPage =
  | {
      readonly state: "ask";
      readonly claim: ActionClaim;
      readonly end: ActionEnd | null;
      /** The name they gave last. */
      readonly who: string;
      /** They gave none that can be taken. */
      readonly isUnnamed: boolean;
    }
  | {
      readonly state: "acted";
      readonly claim: ActionClaim;
      readonly acted: Acted;
      readonly timezone: string;
    }
  | { readonly state: "forged" | "expired" | "away" | "full" };

/** That somebody takes care of an alert, said anywhere in the fleet. */
export interface Acknowledgement {
  /** Unique; who learns of one twice takes it up once. */
  readonly id: string;
  /** The incident. */
  readonly alert: string;
  readonly by: string;
  readonly atMs: number;
}

/** Acknowledgements on their way to the agents whose alerts they are about; forgotten after a week. */
export interface AcknowledgementPort {
  /** Keeps one, in the place of an earlier one of the alert; of too many the oldest go. */
  put(acknowledgement: Acknowledgement): Promise<void>;
  /** In no order. */
  list(): Promise<readonly Acknowledgement[]>;
}

/** A key that signs links for a period, secret; never to be shown. */
export interface SigningKey {
  /** Weeks since 1970. */
  readonly period: number;
  /** 32 bytes in base64url. */
  readonly value: string;
}

/** The keys that all agents sign links with; they expire some weeks after the last was made. */
export interface SigningKeyPort {
  /** The key of a period: this one, unless there is another by then. */
  settle(key: SigningKey): Promise<SigningKey>;
  /** In no order. */
  list(): Promise<readonly SigningKey[]>;
}
