// Package control lets other processes ask a running instance what it does, and
// tell it to reload its files or to end, over HTTP and JSON on a Unix socket.
//
//	GET  /status         Status
//	GET  /route?dst=ADDR router.Explanation
//	POST /reload         Reloaded, once the new configuration is in force
//	POST /stop           {}, once everything is undone
//
// An error is answered as {"error": "..."} with a status of 4xx or 5xx. Nothing
// here returns a private or preshared key.
//
// Listen makes the socket that multihop's own commands look for: DIR/NAME.sock,
// mode 0600 in a directory of mode 0700, for root and the user who made it only.
// It is the instance's name: who has it may change the host under that name, so
// it is taken first and given back last. DIR/NAME.profile says which profile it
// runs, or did when it crashed.
package control
