// Command bench measures multihop against what else there is: wireguard-go
// alone, wireguard-go nested through the kernel, and any program that the user
// names. Everything runs on this machine, in network namespaces, in one run, in
// alternating rounds: a machine's speed wanders, ratios within a run do not.
//
//	go run -C bench .                    # as root: everything, in an hour and a half
//	go run -C bench . -sections 2        # two hops only
//	go run -C bench . -memory            # no root: in memory
//
// Sections:
//
//	1  one hop: multihop, wireguard-go
//	2  two hops: multihop, nested wireguard-go, peers
//	3  layers: 1 to 23 of them, and deeper where links fragment
//	4  two hops in detail: round trips, flows, small packets, UDP
//	5  routing: tables of 10 to a million prefixes, a packet's cost by phase
//
//	6  in memory, without root (-memory)
//
// It prints tables and writes bench.json and SVG plots into -out, after each
// section; sections that it does not measure stay as an earlier run left them
// there. -limit bounds the time of all: a section gets its share, and as many
// rounds as fit.
//
// The yardstick: the entry relay does the same work whatever the client runs,
// so (the client's CPU) / (the entry relay's CPU) of one transfer varies by 2 %
// where either figure alone varies by 30. What the relay itself needs is printed
// too, since a client whose datagrams do not coalesce makes it work harder.
package main
