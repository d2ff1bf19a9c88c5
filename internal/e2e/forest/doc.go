// Package forest tests the built binary on trees of hops, with wireguard-go
// relays in network namespaces: how deep hops can lie, which site each prefix
// leads to, what becomes of traffic when a relay dies that has a stand-in, and
// when a profile changes under load.
//
// Chains of any depth are towers, two hosts and a wire with WireGuard inside
// WireGuard between them. Trees are groves: relays around a core, which is every
// site of an internet and says which tunnel it saw each packet come out of.
package forest
