import { DatabaseSync } from "node:sqlite";

/** Opens a database and brings it to its schema; a damaged one is dealt with by `onDamaged` and begun anew. */
export function openDatabase(file: string, schema: string, onDamaged: () => void): DatabaseSync {
  try {
    return open(file, schema);
  } catch {
    onDamaged();
    return open(file, schema);
  }
}

/** What SQLite keeps in files beside a database is named by these endings; the first is the database itself. */
export const databaseFileEndings = ["", "-wal", "-shm"] as const;

function open(file: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec(schema);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
