// Package queue holds packets between goroutines: a bounded ring of reusable
// packet slots with one lock per batch, and beside it a small control lane
// that is served first.
//
// It is a ring of packets, not a channel of batches: a one-packet batch then
// costs one slot, and a batch may be taken together with its neighbours.
// Copying happens outside the lock: a producer reserves slots, fills them and
// commits; the consumer peeks, copies and releases.
//
//	producers ── Reserve, fill, Commit ──▶ data lane ────┐
//	                                                     ├─ Peek, copy, Release ─▶ one consumer
//	producers ── PutControl (never waits) ▶ control lane ┘
package queue
