// Package tun makes the one TUN device of a router, in the form that
// wireguard-go uses (golang.zx2c4.com/wireguard/tun, imported as wgtun):
//
//   - [Open]: the operating system's, by name;
//   - [FromFD]: the operating system's, made by somebody else (Android, iOS);
//   - [Memory]: none, packets of a test or of a program that embeds the router;
//   - [Queue]: any other device, such as a userspace TCP/IP stack, made safe to
//     answer from.
//
// Memory and Queue have a queue that drops in each direction:
//
//	          ┌──────── Memory ────────┐            ┌────────── Queue ──────────┐
//	Inject ───▶ ring ─▶ Read           │   dev.Read ─pump─▶ ring ─▶ Read        │
//	ReadPackets ◀ ring ◀─ Write        │   dev.Write ◀─pump─ ring ◀─ Write      │
//	          └────────────────────────┘            └───────────────────────────┘
//
// so a Write never waits for a reader. That matters because who carries inbound
// packets must never wait for outbound ones: see Queue.
package tun
