/**
 * Connections that the kernel keeps until they are accepted; it takes no more than `net.core.somaxconn`, 4096 since Linux
 * 5.4, which is also what Go asks for. Beyond it a Unix socket refuses with EAGAIN: with Node's own 511, one client that
 * connects in a loop shuts out all others for as long as it goes on (measured).
 */
export const LISTEN_BACKLOG = 4096;
