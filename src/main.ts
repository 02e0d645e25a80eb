import 'reflect-metadata';
import { createApp, startWork } from './app.js';
import { ConfigError, readSettings } from './platform/config.js';
import { environment } from './platform/environment.js';
import { openState } from './platform/state/state.js';

/** The service alone: state, API, jobs. Ends with 2 when the configuration is wrong, with 1 for anything else. */
async function main(): Promise<void> {
  const settings = readSettings(environment());
  const state = await openState(settings);
  try {
    const app = await createApp({ settings, databaseUrl: state.url });
    await startWork(app);
    await app.listen(settings.port, settings.host);
    console.log(`Usher listens on ${await app.getUrl()} with its state in ${state.where}`);
    app.getHttpServer().once('close', () => void state.stop());
  } catch (error) {
    await state.stop();
    throw error;
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(error instanceof ConfigError ? 2 : 1);
});
