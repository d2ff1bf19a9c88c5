package control

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"

	"multihop/router"
)

// rowsAtOnce is after how many rows a slow reader's time begins anew.
const rowsAtOnce = 1024

// Routes is the answer to /routes.
type Routes struct {
	Routes []router.RouteStatus `json:"routes"`
}

// writeRoutes writes them one by one, for there may be millions of prefixes; with
// each prefix in a row of its own if expand is set. A reader that stops reading
// sees no end of the list.
func writeRoutes(w http.ResponseWriter, all []router.RouteStatus, expand bool) {
	c := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	rows := 0
	row := func(r router.RouteStatus) bool {
		if rows%rowsAtOnce == 0 {
			_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is no limit, none is set
		}
		if rows++; rows > 1 {
			_ = out.WriteByte(',')
		}
		b, err := json.Marshal(r)
		if err == nil {
			_, err = out.Write(b)
		}
		return err == nil
	}
	_, _ = out.WriteString(`{"routes":[`)
	for _, r := range all {
		if !expand {
			if !row(r) {
				return
			}
			continue
		}
		one := r
		one.Count, one.Prefixes = 1, nil
		if r.Prefix.IsValid() && !row(one) {
			return
		}
		for _, p := range r.Prefixes {
			if one.Prefix = p; !row(one) {
				return
			}
		}
	}
	_, _ = out.WriteString("]}\n")
	_ = out.Flush() // who reads it may have gone
}
