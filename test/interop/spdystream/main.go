// Command spdystream-peer is the other side of podwire's SPDY tests: github.com/moby/spdystream, which every Kubernetes
// component speaks, as a server or as a client on a plain TCP connection.
//
//	spdystream-peer serve            prints "listening PORT", serves until it is killed
//	spdystream-peer dial PORT NAME   runs one scenario, prints its result as JSON
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/spdystream"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = serve()
	case len(os.Args) == 4 && os.Args[1] == "dial":
		err = dial(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: %s serve | dial PORT NAME", os.Args[0])
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
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		session, err := spdystream.NewConnection(conn, true)
		if err != nil {
			return err
		}
		go session.Serve(func(stream *spdystream.Stream) { go handle(session, stream) })
	}
}

// handle does what the header "mode" asks for.
func handle(session *spdystream.Connection, stream *spdystream.Stream) {
	mode := stream.Headers().Get("mode")
	if mode == "reject" {
		stream.Reset()
		return
	}
	if mode == "silent" {
		return
	}
	stream.SendReply(http.Header{}, false)
	switch mode {
	case "echo":
		io.Copy(stream, stream)
		stream.Close()
	case "headers":
		fmt.Fprint(stream, len(stream.Headers().Get("value")))
		stream.Close()
	case "count":
		count, _ := io.Copy(io.Discard, stream)
		fmt.Fprint(stream, count)
		stream.Close()
	case "hang-up-first":
		fmt.Fprint(stream, "bye")
		stream.Close()
		count, _ := io.Copy(io.Discard, stream)
		fmt.Fprintln(os.Stderr, "counted", count)
	case "reset":
		fmt.Fprint(stream, "before the reset")
		stream.Reset()
	case "go-away":
		stream.Write(bytes.Repeat([]byte("x"), 100_000))
		session.Close()
	case "ping":
		took, err := session.Ping()
		fmt.Fprint(stream, err == nil && took > 0)
		stream.Close()
	}
}

func dial(port, name string) error {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	session, err := spdystream.NewConnection(conn, false)
	if err != nil {
		return err
	}
	go session.Serve(spdystream.NoOpStreamHandler)
	result, err := scenario(session, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func open(session *spdystream.Connection, mode string, more ...string) (*spdystream.Stream, error) {
	headers := http.Header{"Mode": []string{mode}}
	for i := 0; i+1 < len(more); i += 2 {
		headers.Set(more[i], more[i+1])
	}
	stream, err := session.CreateStream(headers, nil, false)
	if err != nil {
		return nil, err
	}
	return stream, stream.WaitTimeout(5 * time.Second)
}

func scenario(session *spdystream.Connection, name string) (any, error) {
	switch name {
	case "hundred":
		return hundred(session)
	case "echo-64m":
		return echo(session, 64<<20)
	case "half-close":
		stream, err := open(session, "count")
		if err != nil {
			return nil, err
		}
		io.WriteString(stream, strings.Repeat("y", 12345))
		stream.Close()
		answer, err := io.ReadAll(stream)
		return string(answer), err
	case "reset":
		stream, err := open(session, "reset")
		if err != nil {
			return nil, err
		}
		answer, err := io.ReadAll(stream)
		return string(answer), err
	case "reject":
		_, err := open(session, "reject")
		if err == nil {
			return nil, fmt.Errorf("the stream was accepted")
		}
		after, err2 := open(session, "echo")
		if err2 != nil {
			return nil, err2
		}
		io.WriteString(after, "still alive")
		after.Close()
		answer, _ := io.ReadAll(after)
		return []string{err.Error(), string(answer)}, nil
	case "ping":
		took, err := session.Ping()
		return took > 0, err
	case "go-away":
		stream, err := open(session, "go-away")
		if err != nil {
			return nil, err
		}
		answer, err := io.ReadAll(stream)
		if err != nil {
			return nil, err
		}
		select {
		case <-session.CloseChan():
		case <-time.After(5 * time.Second):
			return nil, fmt.Errorf("the connection did not close")
		}
		return len(answer), nil
	case "leave":
		stream, err := open(session, "count")
		if err != nil {
			return nil, err
		}
		io.WriteString(stream, "half said")
		return "left", session.Close()
	case "vanish":
		stream, err := open(session, "count")
		if err != nil {
			return nil, err
		}
		io.WriteString(stream, "half said")
		// Only a pong says that the other side has read this far.
		if _, err := session.Ping(); err != nil {
			return nil, err
		}
		os.Exit(0)
	}
	return nil, fmt.Errorf("unknown scenario")
}

func hundred(session *spdystream.Connection) (any, error) {
	var group sync.WaitGroup
	var lock sync.Mutex
	equal := 0
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			stream, err := open(session, "echo", "number", fmt.Sprint(i))
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			said := strings.Repeat(fmt.Sprintf("stream %d;", i), 1000)
			go func() {
				io.WriteString(stream, said)
				stream.Close()
			}()
			heard, _ := io.ReadAll(stream)
			lock.Lock()
			defer lock.Unlock()
			if string(heard) == said {
				equal++
			}
		}(i)
	}
	group.Wait()
	return equal, nil
}

func echo(session *spdystream.Connection, length int64) (any, error) {
	stream, err := open(session, "echo")
	if err != nil {
		return nil, err
	}
	sent, heard := sha256.New(), sha256.New()
	go func() {
		source := io.TeeReader(io.LimitReader(rand.New(rand.NewSource(1)), length), sent)
		writer := bufio.NewWriterSize(stream, 32<<10)
		io.Copy(writer, source)
		writer.Flush()
		stream.Close()
	}()
	count, err := io.Copy(heard, stream)
	return map[string]any{
		"bytes": count,
		"sent":  hex.EncodeToString(sent.Sum(nil)),
		"heard": hex.EncodeToString(heard.Sum(nil)),
	}, err
}
