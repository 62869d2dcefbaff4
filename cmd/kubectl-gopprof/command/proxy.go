package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/forward"
	"github.com/gopprof/gopprof/pkg/api"
)

const proxyHelp = `Listen on 127.0.0.1 and hand requests for the API on to the server, with your credentials: for
` + "`go tool pprof`" + `, curl and scripts. Requests of web pages are refused. Everybody with an account on this
machine can use it while it runs, in your name. It ends with an interrupt (exit code 0).`

const proxyExamples = `  NAME proxy --port 7481 &
  go tool pprof http://localhost:7481/api/v1/namespaces/shop/pods/web-6f7c9-x2x4z/debug/pprof/profile?seconds=10
  go tool pprof http://localhost:7481/api/v1/namespaces/shop/deployments/web/debug/pprof/heap`

func (c *commands) proxy() *cobra.Command {
	var port uint16
	cmd := &cobra.Command{
		Use: "proxy", Short: "Let tools of this machine use the API", Long: proxyHelp, Example: c.named(proxyExamples), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := c.server()
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), server, port)
		},
	}
	cmd.Flags().Uint16Var(&port, "port", 0, "`port` to listen on; any that is free when left out")
	return cmd
}

func (c *commands) serve(ctx context.Context, server connect.Server, port uint16) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: forward.New(server, server.Namespace), ReadHeaderTimeout: 10 * time.Second}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if _, err := fmt.Fprintf(c.Out, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	c.say("forwards /api/ to %s; for example", server.Name)
	c.say("  go tool pprof http://%s%s", listener.Addr(), api.PathPodProfile("NAMESPACE", "POD", "profile"))
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
