// Package control lets other programs ask a router what it does, and an instance
// to change, over HTTP and JSON. It is a handler: where it listens, and who may
// connect, is its user's business, for it asks nobody who they are. It is made for
// a Unix socket; a TCP port of the host could be reached by any user's browser.
//
//	GET  /status        Status
//	GET  /routes[?all]  {"routes": [Route, ...]}
//	GET  /route?dst=    router.Explanation of a router.Flow
//	GET  /events        a stream of Event (server-sent events)
//	POST /apply         Changes, once the profile in the body is in force
//	POST /reload        Changes, once the files' configuration is in force
//	POST /stop          {}, once everything is undone
//
// What changes something is there only if the Source is an Applier or Instance.
// An error is answered as {"error": "..."} with a status of 4xx or 5xx. Nothing
// here returns a private or preshared key.
//
// A program that embeds a router serves what OfRouter returns:
//
//	feed := control.NewFeed()
//	r := router.New(&router.Options{OnEvent: feed.Publish})
//	server := http.Server{Handler: control.NewHandler(control.OfRouter(r), feed)}
//	server.RegisterOnShutdown(feed.Close)
//
// docs/api.md describes every answer.
package control
