// Control is a program that embeds the router and lets other programs ask it what
// it does, over HTTP on a Unix socket: the API that a running multihop has, too.
// Then it plays such a program: it follows the events until there is a session,
// and asks which way a packet takes.
//
// The relay is in this process too (provider.go). With a real one, Options.Bind goes, and keys
// and endpoints come from a provider's file.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/router"
	"multihop/router/control"
)

func main() {
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), filepath.Join(dir, "api.sock"), os.Stdout)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, socket string, out io.Writer) (err error) {
	world, plan, err := provider()
	if err != nil {
		return err
	}
	defer world.relay.Stop()

	// The feed takes the router's events, and never waits for who reads them.
	feed := control.NewFeed()
	r := router.New(&router.Options{
		OnEvent: feed.Publish,
		Bind:    func(string) conn.Bind { return world.net.Bind(netip.MustParseAddr("192.0.2.1")) },
	})
	if err := r.Apply(ctx, plan); err != nil {
		return errors.Join(err, r.Close())
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }() // until Close
	defer func() { err = errors.Join(err, r.Close(), <-ran) }()

	// Who may connect decides who may ask: here, whoever may open the socket.
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: control.NewHandler(control.OfRouter(r), feed), ReadHeaderTimeout: 10 * time.Second}
	server.RegisterOnShutdown(feed.Close)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // until Shutdown
	defer func() {
		err = errors.Join(err, server.Shutdown(ctx))
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	return visit(ctx, socket, out)
}

// visit is the other program.
func visit(ctx context.Context, socket string, out io.Writer) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	get := func(target string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://multihop"+target, nil)
		if err != nil {
			return nil, err
		}
		return client.Do(req)
	}

	// First the events, then the state: nothing is missed in between.
	events, err := get("/events")
	if err != nil {
		return err
	}
	defer func() { _ = events.Body.Close() }()
	answer, err := get("/status")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var s control.Status
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		return err
	}
	up := len(s.Hops) > 0 && !s.Hops[0].Peers[0].LatestHandshake.IsZero()
	for lines := bufio.NewScanner(events.Body); !up && lines.Scan(); {
		up = lines.Text() == "event: "+string(router.EventHandshake)
	}
	if up {
		fmt.Fprintln(out, "there is a session")
	}

	answer, err = get("/route?dst=203.0.113.80&proto=tcp&dport=443")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var e router.Explanation
	if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%v goes by %s to %s, which sees %v\n", e.Dst, e.Route, e.Path[0].Name, e.NAT)
	return err
}
