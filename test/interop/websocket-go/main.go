// Foreign WebSocket peers for podwire's tests, each built from the code that Kubernetes itself uses.
//
//	peer serve                                 wsstream and gorilla servers on one port of loopback
//	peer exec URL [PROTOCOL...]                client-go's remotecommand: stdin, stdout, stderr are the program's own
//	peer tunnel URL BYTES                      client-go's tunnelling connection: sends BYTES, expects them back
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/util/httpstream/wsstream"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	client "k8s.io/client-go/tools/remotecommand"
)

const status = `{"metadata":{},"status":"Success"}`

func main() {
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve()
	case "exec":
		err = exec(os.Args[2], os.Args[3:])
	case "tunnel":
		err = tunnel(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("no such peer: %s", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	http.HandleFunc("/wsstream", serveWsstream)
	http.HandleFunc("/gorilla", serveGorilla)
	fmt.Fprintf(os.Stderr, "listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	return http.Serve(listener, nil)
}

// serveWsstream echoes stdin on stdout until as many bytes came as the query asks for (v4 has no EOF), then reports.
func serveWsstream(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	types := []wsstream.ChannelType{
		wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.ReadChannel,
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		"":                                 {Binary: true, Channels: types},
		"channel.k8s.io":                   {Binary: true, Channels: types},
		"v4.channel.k8s.io":                {Binary: true, Channels: types},
		"base64.channel.k8s.io":            {Binary: false, Channels: types},
		"v4.base64.channel.k8s.io":         {Binary: false, Channels: types},
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: types},
	})
	protocol, streams, err := conn.Open(w, r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer conn.Close()
	streams[1].Write([]byte{})
	var stdin io.Reader = streams[0]
	if protocol != remotecommand.StreamProtocolV5Name {
		stdin = io.LimitReader(streams[0], count)
	}
	io.Copy(streams[1], stdin)
	fmt.Fprint(streams[3], status)
}

// serveGorilla echoes each stdin message on stdout in fragments, with a PING between, and reports at the CLOSE of stdin.
func serveGorilla(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{
		WriteBufferSize: 1000, Subprotocols: []string{remotecommand.StreamProtocolV5Name},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if bytes.Equal(message, []byte{255, 0}) {
			break
		}
		writer, _ := conn.NextWriter(websocket.BinaryMessage)
		writer.Write([]byte{1})
		for rest := message[1:]; len(rest) > 0; {
			piece := rest[:min(len(rest), 700)]
			rest = rest[len(piece):]
			writer.Write(piece)
		}
		conn.WriteControl(websocket.PingMessage, []byte("between"), time.Now().Add(time.Second))
		writer.Close()
	}
	conn.WriteMessage(websocket.BinaryMessage, []byte("\x03"+status))
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	conn.ReadMessage()
}

func exec(target string, protocols []string) error {
	config := &rest.Config{Host: target}
	executor, err := client.NewWebSocketExecutor(config, "GET", target)
	if len(protocols) > 0 {
		executor, err = client.NewWebSocketExecutorForProtocols(config, "GET", target, protocols...)
	}
	if err != nil {
		return err
	}
	options := client.StreamOptions{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	return executor.StreamWithContext(context.Background(), options)
}

func tunnel(target string, count string) error {
	size, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	location, err := url.Parse(target)
	if err != nil {
		return err
	}
	dialer := websocket.Dialer{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}}
	socket, _, err := dialer.Dial(location.String(), nil)
	if err != nil {
		return err
	}
	conn := portforward.NewTunnelingConnection("test", socket)
	sent := make([]byte, size)
	rand.Read(sent)
	go func() {
		// Sizes as spdystream makes them: field by field, and now and then nothing.
		for rest, step := sent, 1; len(rest) > 0; step = step%9000*3 + 1 {
			piece := rest[:min(len(rest), step)]
			rest = rest[len(piece):]
			conn.Write(piece)
			conn.Write(nil)
		}
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("the echo differs")
	}
	if err := conn.Close(); err != nil {
		return err
	}
	fmt.Println(size)
	return nil
}
