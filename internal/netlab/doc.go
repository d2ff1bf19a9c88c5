// Package netlab builds small networks out of Linux network namespaces, for
// tests that need real kernels, real processes and real wires.
//
// A [Lab] has [Host]s, each with a network namespace of its own. Veth pairs
// ([Lab.Wire]) and bridges ([Host.Bridge]) join them. On a host a test runs
// processes ([Host.Start]), Go functions ([Host.Do]), WireGuard tunnels of
// wireguard-go ([Host.StartTunnel]), traffic ([Target], [Host.Upload],
// [Host.Ping], ...) and captures ([Host.Capture]):
//
//	 host "client"             host "relay"             host "target"
//	┌──────────────┐  Wire   ┌──────────────┐  Wire   ┌──────────────┐
//	│ Start(prog)  ├─────────┤ StartTunnel  ├─────────┤ ServeTarget  │
//	│ Upload, Ping │         │ Capture      │         │              │
//	└──────────────┘         └──────────────┘         └──────────────┘
//
// The namespaces have no names: a host's namespace lives as long as the test
// process has it open or a process runs in it, and every process is killed
// when the test process dies. So nothing is left behind, whatever happens,
// and no lab can disturb another one or the machine. What does share a space
// with the machine, sockets in the file system, gets names that are unique
// ([Lab.Unique]). And the processors: packages whose tests keep them busy take
// turns ([RunAlone]).
//
// Everything needs root: [Require] says so to the test.
package netlab
