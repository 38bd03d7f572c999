// N backends on one machine under PM2, each an own process on an own port: PORT, PORT + 1, …
//
//   SESSION_SECRET=… pm2 start deploy/pm2/ecosystem.config.js
//
// PM2 hands the environment of this command on to the backends, so secrets need not stand in this file.
// PM2's cluster mode shares one port through Node's cluster module and picks a worker per connection: polling clients
// would lose their session on every second request. One port each and berth-proxy in front (../single-host.proxy.toml)
// keeps every client on its server.

const os = require('node:os');

/** A whole number from the environment, or a stop: a typo must not start a different number of servers. */
function wholeNumber(name, fallback, min, max) {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`${name}=${text}: write a whole number from ${min} to ${max}`);
  }
  return value;
}

// Three, as ../single-host.proxy.toml lists them; list more servers there when raising this.
const instances = wholeNumber('BERTH_INSTANCES', 3, 1, 64);
const firstPort = wholeNumber('PORT', 3001, 1, 65535 - 64);

module.exports = {
  apps: Array.from({ length: instances }, (_, index) => {
    const port = firstPort + index;
    return {
      name: `berth-backend-${port}`,
      script: process.env.BERTH_BACKEND || '/usr/local/bin/berth-backend',
      args: 'run',
      // A program of its own, not a script: PM2 must neither look for an interpreter nor fork it as a cluster worker.
      interpreter: 'none',
      exec_mode: 'fork',
      autorestart: true,
      // A backend that dies at once, say on a bad setting, is tried again at growing intervals up to 15 s.
      exp_backoff_restart_delay: 100,
      // Milliseconds. PM2 stops with SIGINT, which drains; only after this it kills. Longer than the backend's drain_timeout.
      kill_timeout: 20_000,
      env: {
        PORT: String(port),
        BERTH_INSTANCE: `${os.hostname()}:${port}`,
        REDIS_URL: process.env.REDIS_URL || 'redis://localhost:6379',
        MONGO_URI: process.env.MONGO_URI || 'mongodb://localhost:27017/berth',
        LOG_LEVEL: process.env.LOG_LEVEL || 'info',
      },
    };
  }),
};
