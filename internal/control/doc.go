// Package control lets other processes ask a running router what it does, over
// HTTP and JSON on a Unix socket.
//
//	GET /status         router.Status
//	GET /route?dst=ADDR router.Explanation
//
// An error is answered as {"error": "..."} with a status of 4xx or 5xx. Nothing
// here returns a private or preshared key, and nothing changes the router.
//
// NewHandler is an ordinary http.Handler, so a program that embeds the router
// may serve it where it likes. Listen makes the socket that multihop's own
// commands look for: DIR/NAME.sock, mode 0600 in a directory of mode 0700, for
// root and the user who made it only.
package control
