// Original file: proto/private/server/journal/journal.proto

export const Status = {
  UNKNOWN: 'UNKNOWN',
  PREPARED: 'PREPARED',
  ACTIVE: 'ACTIVE',
  OLD: 'OLD',
} as const;

export type Status =
  | 'UNKNOWN'
  | 0
  | 'PREPARED'
  | 2
  | 'ACTIVE'
  | 3
  | 'OLD'
  | 4

export type Status__Output = typeof Status[keyof typeof Status]
