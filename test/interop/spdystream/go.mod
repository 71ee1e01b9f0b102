module podwire.local/spdystream-peer

go 1.21

require github.com/moby/spdystream v0.5.1
