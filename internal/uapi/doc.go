// Package uapi serves WireGuard's cross-platform userspace API for one hop, so
// that "wg show TUN.HOP" and "wg showconf TUN.HOP" work.
//
//	get=1, blank line    the hop's configuration and state, errno=0
//	set=1, ..., blank    errno=-1 (EPERM): "Operation not permitted"
//
// As with wireguard-go, the answer to "get" holds the private key, which "wg
// showconf" needs; so the socket is for root, or the user who runs multihop,
// only. Changes are refused: AllowedIPs set behind the router's back would
// contradict its route table.
//
// wg prints the first 15 bytes of a longer name, but finds it by the whole.
//
// The protocol: https://www.wireguard.com/xplatform/
package uapi
